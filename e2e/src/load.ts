import { setTimeout as delay } from 'node:timers/promises'
import { colleagues, type Person, type Platform, type Scope } from '@parley/test-kit'
import { History } from './history.ts'
import { Reader } from './reader.ts'

export interface Load {
  people: Person[]
  conversation_id: string
  history: History
  readers: Reader[]
  /** Resolves when that many more sends are acknowledged: the load is running. */
  more(count: number): Promise<void>
  /** Ends the writers and resolves when each has its last answer. */
  stop(): Promise<void>
}

/** Writers over all gateways that send until they are stopped, and readers that follow, one a gateway. */
export async function startLoad(t: Scope, platform: Platform, { writers: count = 6, pauseMs = 15 } = {}): Promise<Load> {
  const people = colleagues(...Array.from({ length: count }, (_, n) => `Writer ${n}`))
  await Promise.all(people.map((who, n) => platform.client(who, n % platform.urls.length).get('/me')))
  const [owner, ...others] = people
  const { body } = await platform.client(owner!).post('/conversations', { type: 'group', participant_ids: others.map(({ id }) => id) })
  const history = new History()
  const readers = await Promise.all(platform.urls.map((_, n) => new Reader(platform, people[n]!, n).start(t)))
  let isOver = false
  const failures: unknown[] = []
  const writers = people.map(async (who, n) => {
    while (!isOver) {
      await history.send(platform, who, body.id, { gateway: n % platform.urls.length })
      await delay(pauseMs)
    }
  })
  for (const writer of writers) writer.catch(error => failures.push(error))
  const stop = async () => {
    isOver = true
    await Promise.all(writers)
  }
  t.teardown(() => stop().catch(() => {}))
  return {
    people,
    conversation_id: body.id,
    history,
    readers,
    async more(wanted) {
      const target = history.acked.size + wanted
      while (history.acked.size < target) {
        if (failures.length > 0) throw failures[0]
        await delay(5)
      }
    },
    stop
  }
}
