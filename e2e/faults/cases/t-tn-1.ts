import { Lifetime } from '@parley/test-kit'
import { probeTenancy } from '../../tenancy/probe.ts'
import type { FaultCase } from '../trial.ts'

const SHOWN = 300

export const foreignOrganization: FaultCase = {
  id: 'T-TN-1',
  title: 'every route, frame and NATS request with every id, by strangers, another organization, colleagues, removed and participants',
  pass: 'nothing of an organization reaches another one, nothing of a conversation who is not in it; a foreign id answers like none',
  async run(trial) {
    const { platform } = trial
    for (let round = 0; round < trial.times(3, 1); round++) {
      await trial.strike('everything is asked by everybody', {
        async down() {
          const life = new Lifetime()
          trial.scope.teardown(() => life.end())
          const stage = await probeTenancy(life, {
            url: trial.random.pick(platform.urls),
            natsUrl: platform.nats.url,
            token: platform.token,
            query: platform.database.query
          })
          await life.end()
          for (const finding of stage.findings) trial.expect(false, finding.slice(0, SHOWN))
          trial.measured.set('calls, frames and requests tried', `${stage.probes}`)
          // They are in nobody's history: what the checker looks at in the end is the load's alone.
          await stage.forget()
        }
      })
    }
  }
}
