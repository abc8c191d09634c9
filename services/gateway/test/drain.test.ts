import { colleagues, failOnLeftovers, openSocket, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { group } from './expect.ts'
import { exchange } from './raw.ts'

failOnLeftovers(t)

t.test('a gateway that stops sends its sockets away a few at a time, serves the others meanwhile and takes no new ones', async t => {
  const WINDOW_MS = 3_000
  const platform = await startPlatform(t, { env: { DRAIN_WINDOW_MS: `${WINDOW_MS}` } })
  const gateway = platform.gateways[0]!
  const people = colleagues(...Array.from({ length: 20 }, (_, n) => `P${n}`))
  const conversation_id = await group(platform, ...people)
  // Ten each: more than are sent away in one second.
  const sockets = await Promise.all(people.flatMap(who => Array.from({ length: 10 }, () => platform.connect(t, who))))
  const toldAt: number[] = []
  const closes = sockets.map(async socket => {
    await socket.next('reconnect', 30_000)
    toldAt.push(Date.now())
    return { ...(await socket.closed), at: Date.now() }
  })
  const last = sockets.at(-1)!
  const startedAt = Date.now()
  gateway.kill('SIGTERM')
  await until(() => toldAt.length > 0)

  t.equal((await fetch(`${gateway.opsUrl}/health/ready`)).status, 503, 'readiness says so first')
  const { statuses } = await exchange(platform.urls[0]!, [
    `GET /api/v1/ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`
  ])
  t.same(statuses, [503], 'an upgrade is refused')
  t.equal((await openSocket(platform.urls[0]!, platform.token(people[0]!), { how: 'header' }).closed).status, 503)
  t.match(
    await last.ask({ type: 'send_message', conversation_id, content: 'still here' }),
    { type: 'ack' },
    'whose turn has not come is served'
  )
  t.equal((await platform.client(people[0]!).get('/config')).status, 200)

  const closed = await Promise.all(closes)
  t.same([...new Set(closed.map(({ code }) => code))], [1012])
  t.same(await gateway.exited, { code: 0, signal: null })
  t.ok(Date.now() - startedAt < WINDOW_MS + 9_000, `${Date.now() - startedAt} ms in all`)
  const spread = Math.max(...toldAt) - Math.min(...toldAt)
  t.ok(spread > WINDOW_MS * 0.6, `told over ${spread} ms`)
  const delays = sockets.flatMap(({ frames }) => frames.filter(({ type }) => type === 'reconnect').map(({ delay_ms }) => delay_ms))
  t.equal(delays.length, sockets.length, 'each once')
  t.ok(new Set(delays).size > sockets.length / 2, 'with delays of their own')
  t.ok(delays.every(ms => ms >= 0 && ms <= 5_000))
})
