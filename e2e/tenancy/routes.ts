import { randomUUID } from 'node:crypto'
import { type ErrorCode, type RouteContract, routes } from '@parley/contracts'
import type { Answer } from '@parley/test-kit'
import { alike, FOREIGN, type Ids, INSIDE, OUTSIDE, PRINCIPALS, type Principal, type Stage } from './stage.ts'

/** A status, and for a refusal its code. */
type Outcome = number | readonly [number, ErrorCode]

/** A call of a route that is good in all but who makes it, and what those get who may. */
interface RouteProbe {
  body?: (ids: Ids, stage: Stage) => unknown
  query?: string
  /** Of those who are in the conversation; of anyone in the organization where the route names no conversation. */
  participant: Outcome
  owner?: Outcome
  /** Where it is not 403: whoever was removed may leave again. */
  removed?: Outcome
  /** What those of another organization get for an id of this one, and for one that nothing has, where it is not that it is not there. */
  foreign?: Outcome
  /** What some get who are not in the conversation, where it is another answer than the rest's. */
  outside?: Partial<Record<Principal, Outcome>>
  /** Whose id stands in the path as `user_id`, where it is not the participant. */
  user?: 'spare' | 'removed participant'
  /** Ids beside those of the path: a call with one of them, the rest being the caller's own, and what a foreign one gets. */
  named?: Record<string, { body?: (id: string, own: Ids) => unknown; query?: (id: string) => string; of: keyof Ids; outcome: Outcome }>
}

const NOT_SENDER = [403, 'not_the_sender'] as const
const FORBIDDEN = [403, 'forbidden'] as const
const NO_USER = [404, 'user_not_found'] as const
const NO_CONVERSATION = [404, 'conversation_not_found'] as const
const NO_PROJECT = [404, 'project_not_found'] as const
const NO_MESSAGE = [404, 'message_not_found'] as const
const NO_DEMO = [404, 'not_found'] as const
const INVALID_CURSOR = [400, 'invalid_cursor'] as const
const EMOJI = encodeURIComponent('👍')
const sent = (ids: object) => ({ content: 'x', ...ids })

/** A route that is missing here fails the test, and so does an id that a contract takes and nobody tries. */
export const ROUTE_PROBES: Record<string, RouteProbe> = {
  'GET /config': { participant: 200 },
  'GET /me': { participant: 200 },
  'PATCH /me': { body: () => ({ settings: {} }), participant: 200 },
  'GET /users': { participant: 200 },
  'GET /users/{user_id}': { participant: 200 },
  'PUT /users/{user_id}': { body: () => ({ display_name: 'x' }), participant: FORBIDDEN, foreign: FORBIDDEN },
  'DELETE /users/{user_id}': { participant: FORBIDDEN, foreign: FORBIDDEN },
  'PUT /users/{user_id}/block': { participant: 204, user: 'spare' },
  'DELETE /users/{user_id}/block': { participant: 204, user: 'spare' },
  'GET /me/blocks': { participant: 200 },
  // For the host application alone, whoever else asks and whatever is there.
  'PUT /projects/{project_id}': { body: () => ({ name: 'x' }), participant: FORBIDDEN, foreign: FORBIDDEN },
  'PUT /projects/{project_id}/members/{user_id}': { participant: FORBIDDEN, foreign: FORBIDDEN },
  'DELETE /projects/{project_id}/members/{user_id}': { participant: FORBIDDEN, foreign: FORBIDDEN },
  'GET /conversations': {
    participant: 200,
    // Of those that are mine: a project that is not mine has none of them.
    named: { 'query.project_id': { query: id => `?project_id=${id}`, of: 'project_id', outcome: 200 } }
  },
  'POST /conversations': {
    body: (_, { spare }) => ({ type: 'group', participant_ids: [spare.id] }),
    participant: 201,
    named: {
      'body.participant_ids': { body: id => ({ type: 'group', participant_ids: [id] }), of: 'user_id', outcome: NO_USER },
      'body.project_id': { body: project_id => ({ type: 'project', project_id }), of: 'project_id', outcome: NO_PROJECT }
    }
  },
  'POST /conversations/dm/{user_id}': { participant: 201, user: 'spare' },
  'GET /conversations/{conversation_id}': { participant: 200 },
  'PATCH /conversations/{conversation_id}': { body: () => ({}), participant: FORBIDDEN, owner: 200 },
  'PATCH /conversations/{conversation_id}/membership': { body: () => ({}), participant: 200 },
  'GET /projects/{project_id}/conversations': {
    participant: 200,
    named: { 'query.project_id': { query: id => `?project_id=${id}`, of: 'project_id', outcome: 200 } }
  },
  'GET /conversations/{conversation_id}/participants': { participant: 200 },
  'POST /conversations/{conversation_id}/participants': {
    body: ({ user_id }) => ({ user_id }),
    participant: FORBIDDEN,
    owner: 200,
    named: { 'body.user_id': { body: user_id => ({ user_id }), of: 'user_id', outcome: NO_USER } }
  },
  'PATCH /conversations/{conversation_id}/participants/{user_id}': {
    body: () => ({ role: 'member' }),
    participant: FORBIDDEN,
    owner: 200
  },
  'DELETE /conversations/{conversation_id}/participants/{user_id}': {
    participant: FORBIDDEN,
    owner: 204,
    removed: 204,
    user: 'removed participant'
  },
  'GET /conversations/{conversation_id}/messages': {
    participant: 200,
    named: Object.fromEntries(
      ['before', 'after', 'around'].map(name => [
        `query.${name}`,
        { query: (id: string) => `?${name}=${id}`, of: 'message_id', outcome: INVALID_CURSOR }
      ])
    )
  },
  'GET /messages/conversations/{conversation_id}': {
    participant: 200,
    named: { 'query.before': { query: id => `?before=${id}`, of: 'message_id', outcome: INVALID_CURSOR } }
  },
  'POST /conversations/{conversation_id}/messages': {
    body: () => sent({}),
    participant: 201,
    named: {
      'body.reply_to_id': { body: reply_to_id => sent({ reply_to_id }), of: 'message_id', outcome: [400, 'invalid_reply'] },
      // Files are not offered yet: what a message names is no file of anybody's.
      'body.attachments': { body: id => sent({ attachments: [id] }), of: 'message_id', outcome: [404, 'attachment_not_found'] }
    }
  },
  'POST /messages': {
    body: (_, { spare }) => sent({ recipient_id: spare.id }),
    participant: 201,
    named: {
      'body.recipient_id': { body: recipient_id => sent({ recipient_id }), of: 'user_id', outcome: NO_USER },
      'body.reply_to_id': {
        body: (reply_to_id, { user_id }) => sent({ recipient_id: user_id, reply_to_id }),
        of: 'message_id',
        outcome: [400, 'invalid_reply']
      },
      'body.attachments': {
        body: (id, { user_id }) => sent({ recipient_id: user_id, attachments: [id] }),
        of: 'message_id',
        outcome: [404, 'attachment_not_found']
      }
    }
  },
  'GET /conversations/{conversation_id}/search': {
    query: '?q=secret',
    participant: 200,
    named: {
      'query.before': { query: id => `?q=x&before=${id}`, of: 'message_id', outcome: INVALID_CURSOR },
      // Nobody with that id has said anything here.
      'query.sender_id': { query: id => `?q=x&sender_id=${id}`, of: 'user_id', outcome: 200 }
    }
  },
  'GET /search': {
    query: '?q=secret',
    participant: 200,
    named: {
      'query.before': { query: id => `?q=x&before=${id}`, of: 'message_id', outcome: INVALID_CURSOR },
      'query.sender_id': { query: id => `?q=secret&sender_id=${id}`, of: 'user_id', outcome: 200 },
      'query.conversation_id': {
        query: id => `?q=secret&conversation_id=${id}`,
        of: 'conversation_id',
        outcome: [404, 'conversation_not_found']
      }
    }
  },
  // Of one's own alone: to everyone else it is not there.
  'GET /scheduled': { participant: 200 },
  'GET /scheduled/{scheduled_id}': { participant: NO_MESSAGE, owner: 200 },
  'PATCH /scheduled/{scheduled_id}': { body: () => sent({}), participant: NO_MESSAGE, owner: 200 },
  'DELETE /scheduled/{scheduled_id}': { participant: NO_MESSAGE, owner: 204 },
  'GET /messages/{message_id}': { participant: 200 },
  'PATCH /messages/{message_id}': { body: () => sent({}), participant: NOT_SENDER, owner: 200 },
  'DELETE /messages/{message_id}': { participant: NOT_SENDER, owner: 200 },
  'DELETE /conversations/{conversation_id}/messages/{message_id}': { participant: NOT_SENDER, owner: 200 },
  'GET /messages/{message_id}/history': { participant: 200 },
  'GET /messages/{message_id}/receipts': { participant: 200 },
  'POST /messages/{message_id}/forward': {
    body: ({ conversation_id }) => ({ conversation_id }),
    participant: 201,
    named: { 'body.conversation_id': { body: conversation_id => ({ conversation_id }), of: 'conversation_id', outcome: NO_CONVERSATION } }
  },
  'GET /messages/{message_id}/replies': { participant: 200 },
  'PUT /messages/{message_id}/reactions/{emoji}': { participant: 200 },
  'DELETE /messages/{message_id}/reactions/{emoji}': { participant: 200 },
  'PUT /messages/{message_id}/pin': { participant: 200 },
  'DELETE /messages/{message_id}/pin': { participant: 200 },
  'GET /conversations/{conversation_id}/pins': { participant: 200 },
  // For moderators and admins, in the conversation or not.
  'POST /admin/messages/{message_id}/restore': {
    participant: FORBIDDEN,
    outside: {
      'foreign member': FORBIDDEN,
      colleague: FORBIDDEN,
      'colleague who is an admin': 200,
      'removed participant': FORBIDDEN
    }
  },
  'PATCH /conversations/{conversation_id}/read': {
    body: () => ({}),
    participant: 200,
    named: { 'body.message_id': { body: message_id => ({ message_id }), of: 'message_id', outcome: [404, 'message_not_found'] } }
  },
  'POST /conversations/{conversation_id}/read': {
    body: () => ({}),
    participant: 200,
    named: { 'body.message_id': { body: message_id => ({ message_id }), of: 'message_id', outcome: [404, 'message_not_found'] } }
  },
  'GET /unread': { participant: 200 },
  'GET /conversations/{conversation_id}/changes': { query: '?since=0', participant: 200 },
  'POST /sync': {
    body: ({ conversation_id }) => ({ cursors: { [conversation_id]: 0 } }),
    participant: 200,
    named: { 'body.cursors': { body: id => ({ cursors: { [id]: 0 } }), of: 'conversation_id', outcome: 200 } }
  },
  'POST /ws/ticket': { participant: 200 },
  'GET /health/live': { participant: 200 },
  'GET /health/ready': { participant: 200 },
  'GET /openapi.json': { participant: 200 },
  'GET /asyncapi.json': { participant: 200 },
  'GET /docs': { participant: 200 },
  'GET /demo/people': { participant: NO_DEMO },
  'POST /demo/sign-in': {
    body: ({ user_id }) => ({ user_id }),
    participant: NO_DEMO,
    named: { 'body.user_id': { body: user_id => ({ user_id }), of: 'user_id', outcome: NO_DEMO } }
  }
}

const nameOf = ({ method, path }: RouteContract): string => `${method} ${path}`
const pathIds = ({ path }: RouteContract): (keyof Ids)[] => [...path.matchAll(/\{(\w+_id)\}/g)].map(([, name]) => name as keyof Ids)
/** Whether it concerns a conversation, so that those who are not in it are refused. */
const isScoped = (route: RouteContract): boolean => pathIds(route).some(name => name === 'conversation_id' || name === 'message_id')
/** What an id that is not there is called, by the ids of the path. */
const missing = (route: RouteContract): Outcome => {
  const ids = pathIds(route)
  if (ids.includes('message_id') || ids.includes('scheduled_id')) return NO_MESSAGE
  if (ids.includes('conversation_id')) return [404, 'conversation_not_found']
  return ids.includes('project_id') ? NO_PROJECT : NO_USER
}

interface Schema {
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  items?: Schema
  format?: string
}

/** Every id that a contract takes beside those of its path. A cursor may be an id as well, by another form. */
function namedIn({ query, body }: RouteContract): string[] {
  const takesId = ({ format, items, patternProperties }: Schema): boolean =>
    format === 'uuid' || items?.format === 'uuid' || Object.keys(patternProperties ?? {}).some(pattern => pattern.includes('a-fA-F'))
  const of = (part: string, schema: unknown) =>
    Object.entries((schema as Schema | undefined)?.properties ?? {})
      .filter(([, property]) => takesId(property))
      .map(([name]) => `${part}.${name}`)
  return [...of('query', query), ...of('body', body)]
}

/** Sentences: what of the contracts nobody tries, and what is tried that is in no contract. */
export function routesNotTried(contracts: Iterable<RouteContract> = routes.values()): string[] {
  const names = new Set<string>()
  const wrong: string[] = []
  for (const route of contracts) {
    names.add(nameOf(route))
    const probe = ROUTE_PROBES[nameOf(route)]
    if (!probe) wrong.push(`${nameOf(route)} has no entry`)
    for (const id of namedIn(route)) if (probe && !probe.named?.[id]) wrong.push(`${nameOf(route)}: ${id} is not tried`)
    if (route.body && probe && !probe.body) wrong.push(`${nameOf(route)} takes a body and is tried without one`)
  }
  for (const name of Object.keys(ROUTE_PROBES)) if (!names.has(name)) wrong.push(`${name} is no route`)
  return wrong
}

interface Call {
  who: Principal
  route: RouteContract
  ids: Ids
  body?: unknown
  query?: string
}

async function call(stage: Stage, { who, route, ids, body, query = '' }: Call): Promise<Answer<{ code?: string }>> {
  const path = route.path.replace(/\{(\w+)\}/g, (_, name) => (name === 'emoji' ? EMOJI : ids[name as keyof Ids])) + query
  const answer = await stage.as(who).ask(route.method, path, body)
  stage.probes++
  // What a moderator may see by their office is no leak.
  if (typeof ROUTE_PROBES[nameOf(route)]?.outside?.[who] !== 'number')
    stage.hear(who, nameOf(route), { ...answer, headers: [...answer.headers] })
  return answer
}

function expectOutcome(stage: Stage, what: string, { status, body }: Answer<{ code?: string }>, wanted: Outcome): void {
  const isRight = typeof wanted === 'number' ? status === wanted : status === wanted[0] && body?.code === wanted[1]
  if (!isRight) stage.findings.push(`${what}: wanted ${wanted}, got ${status} ${JSON.stringify(body)?.slice(0, 300)}`)
}

function goodCall(stage: Stage, who: Principal, route: RouteContract, ids: Ids): Call {
  const { body, query, user } = ROUTE_PROBES[nameOf(route)]!
  const user_id = user === undefined ? ids.user_id : user === 'spare' ? stage.spare.id : stage.people[user].id
  const named = { ...ids, user_id }
  return { who, route, ids: named, ...(query !== undefined && { query }), ...(body && { body: body(named, stage) }) }
}

/** Every route by all who may not, then by those who may: a refusal that everyone gets would show nothing. */
export async function probeRoutes(stage: Stage): Promise<void> {
  const tried = [...routes.values()].filter(route => nameOf(route) in ROUTE_PROBES)
  const before = await stage.snapshot()
  for (const route of tried) {
    if (route.public) continue
    expectOutcome(stage, `anonymous: ${nameOf(route)}`, await call(stage, goodCall(stage, 'anonymous', route, stage.ids)), [
      401,
      'unauthenticated'
    ])
  }
  for (const route of tried) await probeForeign(stage, route)
  for (const who of OUTSIDE) {
    for (const route of tried.filter(isScoped)) {
      const probe = ROUTE_PROBES[nameOf(route)]!
      const removed = who === 'removed participant' ? probe.removed : undefined
      const wanted: Outcome = probe.outside?.[who] ?? removed ?? [403, 'not_a_participant']
      expectOutcome(stage, `${who}: ${nameOf(route)}`, await call(stage, goodCall(stage, who, route, stage.ids)), wanted)
    }
  }
  if ((await stage.snapshot()) !== before) stage.findings.push('what was refused has changed something')

  for (const who of PRINCIPALS) {
    for (const route of tried) {
      const isIn = (INSIDE as readonly string[]).includes(who)
      if (isScoped(route) ? !isIn : (FOREIGN as readonly string[]).includes(who) || (who === 'anonymous' && !route.public)) continue
      await probeAllowed(stage, who, route)
    }
  }
}

async function probeAllowed(stage: Stage, who: Principal, route: RouteContract): Promise<void> {
  const { participant, owner = participant } = ROUTE_PROBES[nameOf(route)]!
  // Of its own, so that what one call deletes the next one has.
  const message_id = isScoped(route)
    ? await stage.say(stage.people.owner, stage.ids.conversation_id, `${stage.conversationMark} ${stage.orgMark}`)
    : stage.ids.message_id
  const ids = { ...stage.ids, message_id }
  const answer = await call(stage, goodCall(stage, who, route, ids))
  const wanted = who === 'owner' ? owner : participant
  // A direct conversation that a route before this one has made stands already.
  if (wanted === 201 && answer.status === 200) return
  expectOutcome(stage, `${who}: ${nameOf(route)}`, answer, wanted)
}

/** Each id of a route by itself, the others being the caller's own: refused, and just as an id that nothing has. */
async function probeForeign(stage: Stage, route: RouteContract): Promise<void> {
  const probe = ROUTE_PROBES[nameOf(route)]!
  for (const who of FOREIGN) {
    const own = stage.own[who]
    const compare = async (what: string, of: keyof Ids, wanted: Outcome, make: (id: string) => Omit<Call, 'who' | 'route'>) => {
      const nothing = randomUUID()
      const there = await call(stage, { who, route, ...make(stage.ids[of]) })
      const nowhere = await call(stage, { who, route, ...make(nothing) })
      expectOutcome(stage, `${who}: ${what}`, there, wanted)
      const told = [alike([there.status, there.body], { of: stage.ids[of] }), alike([nowhere.status, nowhere.body], { of: nothing })]
      if (told[0] !== told[1]) stage.findings.push(`${who}: ${what} tells what is there from what is not: ${told.join(' | ')}`)
    }
    for (const name of pathIds(route)) {
      const outcome = probe.outside?.[who] ?? probe.foreign ?? (name === 'user_id' ? NO_USER : missing(route))
      await compare(`${nameOf(route)} with a foreign ${name}`, name, outcome, id => {
        const ids = { ...own, [name]: id }
        return { ...goodCall(stage, who, route, ids), ids, ...(probe.body && { body: probe.body(ids, stage) }) }
      })
    }
    for (const [name, { body, query, of, outcome }] of Object.entries(probe.named ?? {})) {
      await compare(`${nameOf(route)} with a foreign ${name}`, of, outcome, id => ({
        ids: own,
        ...(body && { body: body(id, own) }),
        ...(query && { query: query(id) })
      }))
    }
    // All of it foreign at once.
    if (pathIds(route).length > 1) {
      const answer = await call(stage, { ...goodCall(stage, who, route, stage.ids), ids: stage.ids })
      expectOutcome(
        stage,
        `${who}: ${nameOf(route)} with nothing of its own`,
        answer,
        probe.outside?.[who] ?? probe.foreign ?? missing(route)
      )
    }
    // What lists without naming anything tells of its own alone: the marks are searched for in it.
    if (pathIds(route).length === 0 && !probe.named && !route.public) await call(stage, goodCall(stage, who, route, own))
  }
}
