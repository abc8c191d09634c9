import t from 'tap'
import { asyncApi, CLOSE, ERRORS, frames, openApi, ROUTES, routes } from '../src/index.ts'

// biome-ignore lint/suspicious/noExplicitAny: a document is walked, not known
type Any = any
const rest = JSON.parse(JSON.stringify(openApi('1.2.3'))) as Any
const live = JSON.parse(JSON.stringify(asyncApi('1.2.3'))) as Any

function* references(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    if (key === '$ref') yield String(inner)
    else yield* references(inner)
  }
}

const resolve = (document: Any, reference: string): unknown =>
  reference
    .slice(2)
    .split('/')
    .reduce((place, key) => place?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], document)

t.test('every reference of both documents leads somewhere', async t => {
  for (const [name, document] of Object.entries({ rest, live })) {
    const found = [...references(document)]
    t.ok(found.length > 10, `${name} has references`)
    for (const reference of new Set(found)) {
      t.match(reference, /^#\//)
      t.type(resolve(document, reference), 'object', `${name} ${reference}`)
    }
  }
})

t.test('every route is in OpenAPI with its parameters, bodies, answers and errors', async t => {
  t.equal(routes.size, Object.keys(ROUTES).length, 'no route is defined elsewhere')
  // Those of the source designs, below `/api/`, are held by their own test.
  const operations = Object.entries<Any>(rest.paths).flatMap(([path, item]) => (path.startsWith('/api/') ? [] : Object.values<Any>(item)))
  t.equal(operations.length, routes.size)
  t.equal(new Set(operations.map(({ operationId }: Any) => operationId)).size, routes.size, 'operation ids differ')
  for (const route of routes.values()) {
    const operation = rest.paths[route.path]?.[route.method.toLowerCase()]
    t.ok(operation, `${route.method} ${route.path}`)
    const inPath = operation.parameters?.filter((p: Any) => p.in === 'path') ?? []
    t.same(inPath.map((p: Any) => p.name).sort(), [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort(), route.path)
    t.ok(inPath.every((p: Any) => p.required))
    t.equal(operation.requestBody !== undefined, route.body !== undefined)
    for (const status of Object.keys(route.replies)) t.ok(operation.responses[status], `${route.path} answers ${status}`)
    for (const code of route.errors) t.match(operation.responses[ERRORS[code].status].description, code)
    t.equal(operation.security?.length === 0, route.public === true, 'only public routes need no token')
  }
})

t.test('what a call may be refused with for what it brings is said of each, and what is answered at the root as well', async t => {
  const refusals = (method: string, path: string): string =>
    Object.values<Any>(rest.paths[path][method].responses)
      .filter(({ content }) => content?.['application/problem+json'])
      .map(({ description }) => description)
      .join(', ')
  t.match(refusals('patch', '/messages/{message_id}'), /unauthenticated, token_expired.*edit_window_passed.*conversation_locked.*blocked/)
  for (const code of ['invalid_id', 'unknown_field', 'invalid_text', 'invalid_json', 'too_large', 'unsupported_media_type', 'internal'])
    t.match(refusals('patch', '/messages/{message_id}'), code)
  t.match(refusals('delete', '/messages/{message_id}'), 'conversation_archived')
  t.match(refusals('post', '/messages'), 'attachment_not_found')
  t.match(refusals('post', '/admin/messages/{message_id}/restore'), 'message_deleted')
  t.notMatch(refusals('get', '/me'), /too_large|invalid_id|unknown_field/)
  t.notMatch(refusals('get', '/config'), 'unauthenticated')

  for (const path of ['/health/live', '/health/ready', '/openapi.json', '/asyncapi.json', '/docs']) {
    t.same(rest.paths[path].get.servers, [{ url: '/api/v1' }, { url: '/' }], path)
    t.same(rest.paths[path].get.security, [], path)
  }
  t.same(Object.keys(rest.paths['/docs'].get.responses['200'].content), ['text/html'])
  t.ok(rest.paths['/health/ready'].get.responses['503'].content['application/json'], 'not ready is no problem but an answer')
})

t.test('every frame is in AsyncAPI, from the side that sends it', async t => {
  const named = (operation: Any): string[] => operation.messages.map(({ $ref }: Any) => $ref.split('/').at(-1)).sort()
  const expected = (from: string) => [...frames.values()].filter(frame => frame.from === from).map(({ type }) => `${from}_${type}`)
  t.same(named(live.operations.clientSends), expected('client').sort())
  t.same(named(live.operations.serverSends), expected('server').sort())
  t.equal(Object.keys(live.components.messages).length, frames.size)
  for (const { from, type } of frames.values()) {
    const { payload } = live.components.messages[`${from}_${type}`]
    const schema = payload.$ref ? (resolve(live, payload.$ref) as Any) : payload
    t.equal(schema.properties.type.const, type)
  }
})

t.test('the frames and close codes are those that clients were promised', async t => {
  const of = (from: string) => [...frames.values()].filter(frame => frame.from === from).map(({ type }) => type)
  const wanted = {
    client: ['auth', 'resume', 'join', 'leave', 'send_message', 'edit_message', 'delete_message', 'mark_read', 'ping'],
    server: [
      'ready',
      'ack',
      'error',
      'new_message',
      'message_updated',
      'message_deleted',
      'participant_added',
      'participant_updated',
      'participant_removed',
      'conversation_updated',
      'conversation_added',
      'conversation_removed',
      'sync',
      'message_read',
      'unread',
      'reconnect',
      'pong'
    ]
  }
  for (const [from, types] of Object.entries(wanted)) for (const type of types) t.ok(of(from).includes(type), `${from} ${type}`)
  t.same(
    Object.values(CLOSE).map(({ code }) => code),
    [1001, 1008, 1009, 1012, 1013, 4001, 4002, 4003, 4008, 4009, 4010, 4011, 4013]
  )
  for (const { code, reason } of Object.values(CLOSE)) t.match(live.info.description, `${code} ${reason}`)
})

t.test('the documents say what only the code knows otherwise, and nothing that is no JSON Schema', async t => {
  const error = live.components.messages.server_error.payload
  t.ok(error.properties.code, 'a property may be called code')
  t.notMatch(JSON.stringify(rest), /content_too_long","type|"\$id"/)
  t.same(rest.components.schemas.Problem.properties.code.enum, Object.keys(ERRORS))
})
