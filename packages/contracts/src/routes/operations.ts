import { Type } from '@sinclair/typebox'
import { defineRoute } from '../define.ts'
import { OneOf } from '../fields.ts'

const Readiness = Type.Object(
  {
    status: OneOf('ready', 'degraded', 'not_ready', 'stopping'),
    dependencies: Type.Record(Type.String(), OneOf('up', 'down'))
  },
  { $id: 'Readiness' }
)

const open = { tag: 'operations', public: true, atRoot: true, errors: [] } as const

/** What is answered to anyone, below `/api/v1` and at the root as well: how the server is, and what it speaks. */
export const operationsRoutes = {
  live: defineRoute({
    ...open,
    method: 'GET',
    path: '/health/live',
    summary: 'Tell that the server runs.',
    replies: { 200: Type.Object({ status: Type.Literal('live') }) }
  }),
  ready: defineRoute({
    ...open,
    method: 'GET',
    path: '/health/ready',
    summary: 'Tell whether the server can do its work, each dependency named.',
    replies: { 200: Readiness, 503: Readiness }
  }),
  openApi: defineRoute({
    ...open,
    method: 'GET',
    path: '/openapi.json',
    summary: 'Read this document, OpenAPI 3.1.',
    replies: { 200: Type.Object({}, { additionalProperties: true }) }
  }),
  asyncApi: defineRoute({
    ...open,
    method: 'GET',
    path: '/asyncapi.json',
    summary: 'Read what is spoken on the WebSocket, AsyncAPI 3.0.',
    replies: { 200: Type.Object({}, { additionalProperties: true }) }
  }),
  docs: defineRoute({
    ...open,
    method: 'GET',
    path: '/docs',
    summary: 'Read both specifications as a page.',
    media: 'text/html',
    replies: { 200: Type.String() }
  })
}
