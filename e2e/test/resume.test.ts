import { setTimeout as delay } from 'node:timers/promises'
import { colleagues, failOnLeftovers, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { History, isWhole } from '../src/history.ts'
import { Reader } from '../src/reader.ts'

failOnLeftovers(t)

t.test(
  'a socket that dies in a burst of messages, edits and deletes, again and again, and resumes on the other gateway misses nothing',
  async t => {
    const platform = await startPlatform(t, { gateways: 2, stores: 2 })
    const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
    await Promise.all([ada, ben, cleo].map(who => platform.client(who).get('/me')))
    const { body } = await platform.client(ada).post('/conversations', { type: 'group', participant_ids: [ben.id, cleo.id] })
    const history = new History()
    const steady = await new Reader(platform, ben, 0).start(t)
    const dropping = await Promise.all([0, 1].map(gateway => new Reader(platform, cleo, gateway).start(t)))
    let isOver = false

    const writers = [ada, ben, cleo, ada, ben].map(async (who, n) => {
      const mine = platform.client(who, n % 2)
      for (let m = 0; m < 24; m++) {
        const { id } = await history.send(platform, who, body.id, { gateway: n % 2 })
        if (m % 3 === 1) await mine.patch(`/messages/${id}`, { content: `edited ${id}` })
        if (m % 4 === 3) await mine.delete(`/messages/${id}`)
      }
    })
    const dropper = (async () => {
      for (let n = 0; !isOver; n++) {
        await delay(60 + 35 * (n % 5))
        dropping[n % 2]!.drop()
      }
    })()
    await Promise.all(writers)
    isOver = true
    await dropper

    const drops = dropping.reduce((sum, { closes }) => sum + closes.length, 0)
    t.ok(drops >= 6, `${drops} connections were lost`)
    await isWhole(t, platform, body.id, history, [steady, ...dropping])
  }
)
