import { STREAMS } from '@parley/contracts'
import { until } from '@parley/test-kit'
import type { FaultCase } from '../trial.ts'
import { expectEachOnce, startCounting } from '../visitors/counting.ts'

const CONSUMER = 'counter'
const AGAIN_MS = 15_000

export const deletedConsumer: FaultCase = {
  id: 'T-PM-2',
  title: 'a durable consumer is deleted through the admin interface',
  pass: 'it is there again within 15 s, and each change has had its effect once in the end',
  async run(trial) {
    const counter = await startCounting(trial)
    const { consumers } = await counter.app.bus.connection.jetstreamManager()
    const stream = STREAMS[0].name
    const times: number[] = []
    for (let n = 0; n < trial.times(10, 3); n++) {
      await trial.load.more(trial.times(300, 100))
      await trial.strike('delete the consumer', {
        async down() {
          await consumers.delete(stream, CONSUMER)
          const begun = performance.now()
          await until(async () => (await consumers.info(stream, CONSUMER)).name, {
            timeoutMs: AGAIN_MS,
            what: 'the consumer is there again'
          })
          times.push(performance.now() - begun)
        }
      })
    }
    const changes = await expectEachOnce(trial)
    trial.measured.set('there again', `within ${Math.round(Math.max(...times))} ms`).set('effects, each once', `${changes}`)
    await counter.app.close()
  }
}
