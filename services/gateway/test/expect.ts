import { check } from '@parley/contracts'
import type { Answer, Person, Platform } from '@parley/test-kit'
import type { TSchema } from '@sinclair/typebox'
import type { Test } from 'tap'

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** Holds an answer to be an error in the one shape that errors have. */
export function isProblem(t: Test, { status, headers, body }: Answer<unknown>, wanted: number, code: string, what = ''): void {
  const problem = body as Record<string, unknown>
  t.equal(status, wanted, `${what} answers ${wanted} ${JSON.stringify(body).slice(0, 300)}`)
  t.match(headers.get('content-type'), /^application\/problem\+json\b/, `${what} is a problem`)
  t.match(problem, {
    type: 'about:blank',
    title: /\S/,
    status: wanted,
    status_code: wanted,
    detail: /\S/,
    code,
    timestamp: TIME,
    request_id: headers.get('x-request-id')
  })
  t.ok(headers.get('x-request-id'), `${what} names its request`)
  t.notMatch(JSON.stringify(body), /\bat .+\.ts:\d|select |insert into|req\.|SQLSTATE/i, `${what} tells nothing of the inside`)
  if (wanted === 503) t.ok(Number(headers.get('retry-after')) >= 1, `${what} says when to come again`)
  if (wanted === 401) t.equal(headers.get('www-authenticate'), 'Bearer')
}

/** Holds an answer to have succeeded in the shape of its contract, with every time in milliseconds. */
export function fits(t: Test, { status, body }: Answer<unknown>, wanted: number, schema: TSchema, what = ''): void {
  t.equal(status, wanted, `${what} answers ${wanted} ${status === wanted ? '' : JSON.stringify(body).slice(0, 300)}`)
  t.doesNotThrow(() => check(schema, body), `${what} has its shape`)
  for (const [, name, time] of JSON.stringify(body).matchAll(/"(\w+_at)":"([^"]*)"/g)) t.match(time, TIME, `${what}: ${name}`)
}

/** Makes people known, by a call of each with their token. */
export async function known(platform: Platform, ...people: Person[]): Promise<void> {
  await Promise.all(people.map(who => platform.client(who).get('/me')))
}

/** A group of people who are known already; the first one makes it and owns it. */
export async function group(platform: Platform, ...people: Person[]): Promise<string> {
  await known(platform, ...people)
  const [owner, ...others] = people
  const { status, body } = await platform
    .client(owner!)
    .post('/conversations', { type: 'group', participant_ids: others.map(who => who.id) })
  if (status !== 201) throw new Error(`no group: ${JSON.stringify(body)}`)
  return body.id
}

/** Holds that the platform still does its work: a message goes through. */
export async function stillWorks(t: Test, platform: Platform, who: Person, conversation_id: string, after: string): Promise<void> {
  for (let gateway = 0; gateway < platform.urls.length; gateway++) {
    const sent = await platform.client(who, gateway).post(`/conversations/${conversation_id}/messages`, { content: `after ${after}` })
    t.equal(sent.status, 201, `a send succeeds after ${after}`)
  }
}
