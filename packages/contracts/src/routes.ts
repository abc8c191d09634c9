import { adminRoutes } from './routes/admin.ts'
import { conversationsRoutes } from './routes/conversations.ts'
import { demoRoutes } from './routes/demo.ts'
import { liveRoutes } from './routes/live.ts'
import { messagesRoutes } from './routes/messages.ts'
import { operationsRoutes } from './routes/operations.ts'
import { peopleRoutes } from './routes/people.ts'
import { projectsRoutes } from './routes/projects.ts'
import { scheduledRoutes } from './routes/scheduled.ts'
import { searchRoutes } from './routes/search.ts'

export { Config } from './routes/people.ts'

/** Every call over HTTP, by the name that the gateway knows it by. */
export const ROUTES = {
  ...peopleRoutes,
  ...projectsRoutes,
  ...conversationsRoutes,
  ...messagesRoutes,
  ...scheduledRoutes,
  ...searchRoutes,
  ...liveRoutes,
  ...adminRoutes,
  ...demoRoutes,
  ...operationsRoutes
}
