/** A word that a path below `/api` may begin with: `v1` is none, nor is anything encoded, empty or with dots alone. */
const WORD = '(?=/[a-z]+(?:\\.[a-z]+)?(?:/|$))'

/** The paths of the five source designs: the first row that fits is where it stands below `/api/v1`. */
const PLACES: readonly (readonly [from: RegExp, to: string])[] = [
  [/^\/api\/(?:conversations|ws)\/health$/, '/api/v1/health/ready'],
  [new RegExp(`^/api/admin/messaging${WORD}`), '/api/v1/admin'],
  [new RegExp(`^/api/messaging${WORD}`), '/api/v1'],
  [new RegExp(`^/api${WORD}`), '/api/v1']
]

const CONVERSATIONS_OF_MESSAGES = '/api/v1/messages/conversations'
const OF_MESSAGES = /^\/api\/v1\/messages\/conversations(?=\/|$)/
/** It reads the messages and the conversation at once, which no other path does: a route of its own. */
const BOTH_AT_ONCE = /^\/api\/v1\/messages\/conversations\/[^/]+$/

/**
 * Where a call of a source design stands in this interface. All else comes back as it is, so what stands below `/api/v1`
 * is reached by no other way than its own: nothing is decoded or resolved here, and every row ends below `/api/v1`.
 *
 * @param url path and query, as they came
 */
export function canonicalUrl(method: string | undefined, url: string): string {
  if (!url.startsWith('/api/') || (url.startsWith('/api/v1/') && !url.startsWith(CONVERSATIONS_OF_MESSAGES))) return url
  const [path] = url.split('?', 1) as [string]
  const place = PLACES.find(([from]) => from.test(path))
  const placed = place ? path.replace(...place) : path
  const isBoth = (method === 'GET' || method === 'HEAD') && BOTH_AT_ONCE.test(placed)
  return (isBoth ? placed : placed.replace(OF_MESSAGES, '/api/v1/conversations')) + url.slice(path.length)
}

/** What the source designs document under paths of their own, for the specification and its readers. */
export const SOURCE_CALLS: readonly (readonly [method: string, path: string])[] = [
  ['GET', '/api/v1/messages/conversations'],
  ['PATCH', '/api/v1/messages/conversations/{conversation_id}/read'],
  ['GET', '/api/projects/{project_id}/conversations'],
  ['GET', '/api/conversations/{conversation_id}/messages'],
  ['POST', '/api/conversations/{conversation_id}/messages'],
  ['POST', '/api/conversations/{conversation_id}/files'],
  ['POST', '/api/conversations/{conversation_id}/read'],
  ['GET', '/api/conversations/{conversation_id}/search'],
  ['GET', '/api/admin/conversations'],
  ['GET', '/api/admin/conversations/analytics'],
  ['DELETE', '/api/admin/messages/{message_id}'],
  ['GET', '/api/admin/conversations/{conversation_id}/export'],
  ['POST', '/api/admin/conversations/{conversation_id}/participants'],
  ['GET', '/api/messaging/conversations'],
  ['POST', '/api/messaging/conversations'],
  ['GET', '/api/messaging/conversations/{conversation_id}/messages'],
  ['POST', '/api/messaging/conversations/{conversation_id}/messages'],
  ['POST', '/api/messaging/conversations/{conversation_id}/read'],
  ['GET', '/api/admin/messaging/conversations'],
  ['PATCH', '/api/admin/messaging/conversations/{conversation_id}/status'],
  ['GET', '/api/admin/messaging/conversations/{conversation_id}/participants'],
  ['POST', '/api/conversations/dm/{user_id}'],
  ['GET', '/api/conversations'],
  ['PATCH', '/api/conversations/{conversation_id}/read'],
  ['DELETE', '/api/conversations/{conversation_id}/messages/{message_id}']
]
