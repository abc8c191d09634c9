import { failOnLeftovers, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { isWhole } from '../src/history.ts'
import { startLoad } from '../src/load.ts'

failOnLeftovers(t)

t.test('a message-store that is killed under load, five times, loses no acknowledged message and no event', async t => {
  const platform = await startPlatform(t, { gateways: 2, stores: 2 })
  const load = await startLoad(t, platform)
  for (let n = 0; n < 5; n++) {
    await load.more(20)
    const store = platform.stores[n % 2]!
    store.kill('SIGKILL')
    await store.exited
    await load.more(10)
    await store.start()
  }
  await load.more(20)
  await load.stop()

  t.ok(
    load.readers.every(({ closes }) => closes.length === 0),
    'no reader had to come again'
  )
  await isWhole(t, platform, load.conversation_id, load.history, load.readers)
})

t.test('the only message-store, killed with sends in hand, answers none of them falsely, and all are taken when it is back', async t => {
  const platform = await startPlatform(t)
  const load = await startLoad(t, platform, { writers: 8, pauseMs: 0 })
  for (let n = 0; n < 2; n++) {
    await load.more(30)
    platform.stores[0]!.kill('SIGKILL')
    await platform.stores[0]!.exited
    await platform.stores[0]!.start()
  }
  await load.more(30)
  await load.stop()

  t.ok(load.history.retries > 0, `${load.history.retries} sends were asked again`)
  await isWhole(t, platform, load.conversation_id, load.history, load.readers)
})
