import { colleagues, failOnLeftovers, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { History, isWhole } from '../src/history.ts'
import { Reader } from '../src/reader.ts'

failOnLeftovers(t)

t.test(
  'fifty who write into one conversation at once, over two gateways and two stores, make one order that every reader sees',
  async t => {
    const platform = await startPlatform(t, { gateways: 2, stores: 2 })
    const names = Array.from({ length: 50 }, (_, n) => `Writer ${n}`)
    const people = colleagues(...names)
    await Promise.all(people.map((who, n) => platform.client(who, n % 2).get('/me')))
    const { body } = await platform
      .client(people[0]!)
      .post('/conversations', { type: 'group', participant_ids: people.slice(1).map(({ id }) => id) })
    const readers = await Promise.all([0, 1, 2, 3].map(n => new Reader(platform, people[n]!, n % 2).start(t)))
    const history = new History()

    await Promise.all(
      people.map(async (who, n) => {
        for (let m = 0; m < 8; m++) await history.send(platform, who, body.id, { gateway: n % 2 })
      })
    )

    t.equal(history.acked.size, 400)
    t.equal(history.retries, 0, 'all at the first attempt')
    await isWhole(t, platform, body.id, history, readers)
    // Who writes one after the other keeps that order.
    for (const who of people) {
      const seqs = [...history.acked.values()].filter(({ sender_id }) => sender_id === who.id).map(({ seq }) => seq)
      if (seqs.some((seq, index) => index > 0 && seq < seqs[index - 1]!)) t.fail(`${who.name}: ${seqs}`)
    }
  }
)
