import { failOnLeftovers, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { exchange } from './raw.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const url = platform.urls[0]!

const upgrade = (path: string, ...lines: string[]) =>
  [
    `GET ${path} HTTP/1.1`,
    `host: ${new URL(url).host}`,
    'upgrade: websocket',
    'connection: Upgrade',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    ...lines,
    '\r\n'
  ].join('\r\n')

/** Status, body and whether the server ended the connection by itself. */
async function refusal(request: string) {
  const { text, statuses, isClosed } = await exchange(url, [request])
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return { statuses, head, problem: JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)), isClosed }
}

t.test('an upgrade of a foreign origin is told why in the shape of every error, and its connection ends', async t => {
  const { statuses, head, problem, isClosed } = await refusal(upgrade('/api/v1/ws', 'origin: https://evil.example'))
  t.same(statuses, [403])
  t.match(head, /content-type: application\/problem\+json/)
  t.match(head, /x-request-id: \S+/)
  t.match(problem, { status: 403, code: 'foreign_origin' })
  t.ok(isClosed)
})

t.test('an upgrade of another path is answered as the request that it also is, and its connection ends', async t => {
  const me = await refusal(upgrade('/api/v1/me'))
  t.match([me.statuses, me.problem, me.isClosed], [[401], { code: 'unauthenticated' }, true])
  for (const path of ['/api/v1/ws/', '/api/v1/wsx', '/api/v1/ws%20', '/nowhere']) {
    const { statuses, problem, isClosed } = await refusal(upgrade(path))
    t.match([statuses, problem, isClosed], [[404], { code: 'not_found' }, true], path)
  }
})

t.test('what comes behind a refused upgrade on the same connection is not answered', async t => {
  const { statuses } = await refusal(upgrade('/nowhere') + upgrade('/api/v1/ws'))
  t.same(statuses, [404])
})
