import { once } from 'node:events'
import { COLLECTS_GARBAGE, colleagues, failOnLeftovers, type Person, type Platform, startPlatform, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'

failOnLeftovers(t)

/** What is made once, and not for each: compiled code, pools, the first buffers. */
const WARM_UP = 100
const IDLE = 400
/** 7.6 were found; with the request and the answer of the upgrade, which nothing needs after it, 13. */
const LIVE_MAX_KIB = 9

async function openIdle(t: Test, platform: Platform, people: readonly Person[]): Promise<void> {
  const url = `${platform.urls[0]!.replace(/^http/, 'ws')}/api/v1/ws`
  for (let at = 0; at < people.length; at += 50) {
    const sockets = people.slice(at, at + 50).map(who => {
      const socket = new WebSocket(url, { headers: { authorization: `Bearer ${platform.token(who)}` } })
      t.teardown(() => socket.terminate())
      return once(socket, 'message')
    })
    await Promise.all(sockets)
  }
}

t.test('a socket that says nothing holds no more than its connection needs', async t => {
  const platform = await startPlatform(t, { env: { NODE_OPTIONS: COLLECTS_GARBAGE } })
  const people = colleagues(...Array.from({ length: WARM_UP + IDLE }, (_, n) => `Idle ${n}`))
  const live = async (): Promise<number> => {
    const text = await (await fetch(`${platform.gateways[0]!.opsUrl}/metrics`)).text()
    const of = (name: string) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)![1])
    return (of('nodejs_heap_size_used_bytes') + of('nodejs_external_memory_bytes')) / 1024
  }
  /** The least of some looks, each after garbage was collected: caches fill, and sockets do not go. */
  const least = async (): Promise<number> => {
    let lowest = Number.POSITIVE_INFINITY
    for (let look = 0; look < 3; look++) {
      await new Promise(resolve => setTimeout(resolve, 600))
      lowest = Math.min(lowest, await live())
    }
    return lowest
  }

  await openIdle(t, platform, people.slice(0, WARM_UP))
  const before = await least()
  await openIdle(t, platform, people.slice(WARM_UP))
  let each = Number.POSITIVE_INFINITY
  await until(
    async () => {
      each = ((await least()) - before) / IDLE
      return each <= LIVE_MAX_KIB
    },
    { timeoutMs: 30_000 }
  ).catch(() => {})
  t.ok(each <= LIVE_MAX_KIB, `${each.toFixed(1)} KiB each`)
})
