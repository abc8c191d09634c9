import { failOnLeftovers, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { isWhole } from '../src/history.ts'
import { startLoad } from '../src/load.ts'

failOnLeftovers(t)

t.test('when a gateway is killed under load its clients go on by the other one: nothing is lost and nothing comes twice', async t => {
  const platform = await startPlatform(t, { gateways: 2, stores: 1 })
  const load = await startLoad(t, platform)
  for (let n = 0; n < 4; n++) {
    await load.more(20)
    const gateway = platform.gateways[n % 2]!
    gateway.kill('SIGKILL')
    await gateway.exited
    await load.more(20)
    await gateway.start()
  }
  await load.more(20)
  await load.stop()

  t.ok(load.history.retries > 0, `${load.history.retries} sends were asked again`)
  t.ok(
    load.readers.every(({ closes }) => closes.includes(1006)),
    'each reader lost its connection'
  )
  await isWhole(t, platform, load.conversation_id, load.history, load.readers)
})
