import { defineRoute } from '../define.ts'
import { Project, PutProjectBody } from '../projects.ts'
import { OfMember, OfProject } from './params.ts'

/** Projects and their members, which the host application keeps in step: role `service`. */
export const projectsRoutes = {
  putProject: defineRoute({
    method: 'PUT',
    path: '/projects/{project_id}',
    tag: 'projects',
    summary: 'Create a project, or bring it up to date; for the role `service`.',
    params: OfProject,
    body: PutProjectBody,
    replies: { 200: Project },
    errors: ['forbidden']
  }),
  putProjectMember: defineRoute({
    method: 'PUT',
    path: '/projects/{project_id}/members/{user_id}',
    tag: 'projects',
    summary: 'Put a person into a project and its conversations; for the role `service`.',
    params: OfMember,
    replies: { 204: null },
    errors: ['forbidden', 'project_not_found', 'user_not_found', 'conversation_full']
  }),
  deleteProjectMember: defineRoute({
    method: 'DELETE',
    path: '/projects/{project_id}/members/{user_id}',
    tag: 'projects',
    summary: 'Take a person out of a project and its conversations; for the role `service`.',
    params: OfMember,
    replies: { 204: null },
    errors: ['forbidden', 'project_not_found', 'user_not_found']
  })
}
