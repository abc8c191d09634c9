import { startCounter } from './counter.ts'

// A counting service as a process of its own, which may be set to kill itself between a commit and its acknowledgement.
const { NATS_URL = '', DATABASE_URL = '', DIE_AFTER = '', WITHOUT_INBOX = '' } = process.env
let commits = 0

const { app } = await startCounter({
  natsUrl: NATS_URL,
  databaseUrl: DATABASE_URL,
  wrap: (inbox, db) =>
    new Proxy(inbox, {
      get(_, name) {
        if (name !== 'apply') {
          const value: unknown = Reflect.get(inbox, name)
          return typeof value === 'function' ? value.bind(inbox) : value
        }
        const apply: typeof inbox.apply = WITHOUT_INBOX
          ? (events, effect) => db.transaction(async tx => ({ fresh: events.length, early: (await effect(tx, events)) ? [] : [] }))
          : inbox.apply.bind(inbox)
        const applyAndDie: typeof inbox.apply = async (events, effect) => {
          const outcome = await apply(events, effect)
          if (events.length > 0 && DIE_AFTER && ++commits === Number(DIE_AFTER)) process.kill(process.pid, 'SIGKILL')
          return outcome
        }
        return applyAndDie
      }
    })
})
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)))
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
