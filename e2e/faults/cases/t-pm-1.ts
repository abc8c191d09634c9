import { setTimeout as delay } from 'node:timers/promises'
import {
  ChangeLog,
  ConversationChanged,
  ConversationMoment,
  check,
  frames,
  HealConversation,
  UserChanged,
  UserMoment
} from '@parley/contracts'
import { type Person, until } from '@parley/test-kit'
import type { FaultCase, Trial } from '../trial.ts'
import { type Counter, expectEachOnce, startCounting } from '../visitors/counting.ts'
import { Crowd } from '../visitors/crowd.ts'
import { inviteVisitors, type Visitors } from '../visitors/visitors.ts'

/** Three tries with pauses between them, by servers that have other things to do. */
const PARKED_MS = 60_000
const FLOWS_MS = 5_000
/** In what is said, so that the effect fails of it until it is mended. */
const INDIGESTIBLE = 'indigestible'
/** Above what a consumer reads, below what the stream takes. */
const HUGE_BYTES = 2 * 1024 * 1024

/** What stands in a stream, or comes by a subject, and is no change: by what is wrong with it. */
function poisons(conversation_id: string): Map<string, string | Uint8Array> {
  const head = `{"type":"new_message","conversation_id":"${conversation_id}"`
  return new Map<string, string | Uint8Array>([
    ['nothing', ''],
    ['no JSON', 'this is no JSON'],
    ['half of a frame', '{"type":"new_message","conv'],
    ['no object', 'null'],
    ['no fields', '{}'],
    ['no version', `${head},"message":{}}`],
    ['a version that is no number', `${head},"version":"seven"}`],
    ['version 0', `${head},"version":0}`],
    ['a version far ahead', `${head},"version":9007199254740991}`],
    ['an unknown type', `{"type":"melted","conversation_id":"${conversation_id}","version":"x"}`],
    ['NUL', `${head},"text":"\u0000"}`],
    ['bytes that are no text', Uint8Array.of(0xff, 0xfe, 0x00, 0x80)],
    ['far too much', `${head},"text":"${'x'.repeat(HUGE_BYTES)}"}`]
  ])
}

export const poison: FaultCase = {
  id: 'T-PM-1',
  title: 'poison in the stream, and on the subjects that gateways follow',
  pass: 'a durable consumer puts each away with a reason, others pass, a replay works; gateways go on and tell clients nothing of it',
  async run(trial) {
    const visitors = await inviteVisitors(trial, 4)
    let isMended = false
    const counter = await startCounting(trial, {
      before(fresh) {
        const bad = fresh.find(({ line }) => line.includes(INDIGESTIBLE))
        if (bad && !isMended) throw new Error(`cannot stomach version ${bad.version}`)
      }
    })
    await poisonGateways(trial, visitors, counter)
    await poisonStream(trial, visitors, counter, () => {
      isMended = true
    })
    visitors.leave()
    trial.measured.set('effects, each once', `${await expectEachOnce(trial)}`)
    await counter.app.close()
  }
}

/** Whoever could publish there at all would be one of us; yet one that is broken must not break the others. */
async function poisonGateways(trial: Trial, visitors: Visitors, { app }: Counter): Promise<void> {
  const { gateways } = trial.platform
  const [ada, ben] = visitors.people as [Person, Person]
  const conversation_id = await visitors.startConversation([ada, ben], 'Watched')
  const crowd = new Crowd(trial, visitors, [ada, ben], 1, { gateway: n => n, stays: true })
  const broken: string[] = []
  for (const client of crowd.clients) {
    client.onFrame = text => {
      const fault = faultOf(text)
      if (fault) broken.push(fault)
    }
  }
  await crowd.start()
  const [client] = crowd.clients
  let said = 0
  const flows = async (after: string) => {
    const key = `${client!.proc}-${++said}`
    const isSaid = await client!.say(conversation_id, key, `${visitors.mark} ${key}`)
    trial.expect(isSaid, `after ${after}: nothing could be said`)
    const { held } = client!.places.get(conversation_id)!
    const isThere = () => crowd.clients.every(({ places }) => places.get(conversation_id)!.held >= held)
    await until(isThere, { timeoutMs: FLOWS_MS, what: 'everyone has it' }).catch(() =>
      trial.expect(false, `after ${after}: a message did not come`)
    )
  }
  const disconnects = async () => {
    const logs = await Promise.all(gateways.map(gateway => gateway.log()))
    return logs.reduce((sum, log) => sum + log.split('nats disconnected').length - 1, 0)
  }
  const pids = gateways.map(({ pid }) => pid)
  const before = await disconnects()
  await flows('the beginning')
  const who = { org_id: ada.org_id, user_id: ada.id }
  const subjects = [
    ConversationChanged.subject({ conversation_id }),
    ConversationMoment.subject({ conversation_id }),
    UserChanged.subject(who),
    UserMoment.subject(who)
  ]
  for (const subject of subjects) {
    const kind = subject.split('.').slice(0, 2).join('.')
    trial.history.add({ proc: 'harness', type: 'ok', op: 'fault', value: `poison on ${kind}` })
    for (const [what, payload] of poisons(conversation_id)) {
      app.bus.connection.publish(subject, payload)
      await flows(`${what} on ${kind}`)
    }
  }
  // Whoever asks the store to fill a hole asks where this hears it as well.
  let holes = 0
  const listening = app.bus.subscribe(HealConversation.subject, ({ data }) => {
    if (Buffer.from(data).includes(conversation_id)) holes++
  })
  await app.bus.flush()
  for (let n = 0; n < 5; n++) {
    // Longer than a hole is waited for.
    await delay(150)
    await flows('all of it')
  }
  listening.unsubscribe()
  const closes = crowd.clients.flatMap(({ closes }) => closes)
  await crowd.stop()
  trial.expect(
    gateways.every(({ pid }, n) => pid === pids[n]),
    'a gateway has ended'
  )
  const lost = (await disconnects()) - before
  trial.expect(lost === 0, `gateways lost their connection to NATS ${lost} times`)
  trial.expect(closes.length === 0, `sockets were closed: ${closes.join(', ')}`)
  trial.expect(broken.length === 0, `${broken.length} frames broke their contract: ${[...new Set(broken)].slice(0, 5).join('; ')}`)
  trial.expect(holes <= 1, `${holes} times a hole was looked for where there is none`)
}

/** What is wrong with a frame as the interface has it. */
function faultOf(text: string): string | undefined {
  try {
    const frame = JSON.parse(text)
    const contract = frames.get(`server ${frame?.type}`)
    if (!contract) return `no such type: ${text.slice(0, 60)}`
    check(contract.schema, frame)
    return undefined
  } catch (error) {
    return `${(error as Error).message}: ${text.slice(0, 60)}`
  }
}

async function poisonStream(trial: Trial, visitors: Visitors, counter: Counter, mend: () => void): Promise<void> {
  const { database } = trial.platform
  const [, , ada, ben] = visitors.people as [Person, Person, Person, Person]
  const conversation = await visitors.startConversation([ada, ben], 'Poisoned')
  const crowd = new Crowd(trial, visitors, [ada], 1, { gateway: () => 0 })
  await crowd.start()
  const [client] = crowd.clients
  const js = counter.app.bus.connection.jetstream()
  const all = poisons(conversation)
  for (const [what, payload] of all) {
    trial.history.add({ proc: 'harness', type: 'ok', op: 'fault', value: `poison in the stream: ${what}` })
    await js.publish(ChangeLog.address, payload)
    await trial.load.more(5)
  }
  const key = `${client!.proc}-1`
  trial.expect(await client!.say(conversation, key, `${visitors.mark} ${key} ${INDIGESTIBLE}`), 'nothing could be said')
  await crowd.stop()

  const letters = () =>
    database.query<{ reason: string; error: string; payload: Buffer }>('select reason, error, payload from counting.dead_letters')
  const wanted = all.size + 1
  await until(async () => (await letters()).length >= wanted, { timeoutMs: PARKED_MS, what: 'all poison is put away' }).catch(() => {})
  const parked = await letters()
  trial.expect(parked.length === wanted, `${parked.length} letters of ${wanted} poisons`)
  for (const [what, payload] of all) {
    const letter = parked.find(one => one.payload.equals(Buffer.from(payload)))
    trial.expect(letter !== undefined, `${what}: no letter has it`)
    trial.expect(!letter || (letter.reason !== '' && letter.error !== ''), `${what}: put away without a reason`)
  }
  const failed = parked.filter(({ reason }) => reason === 'failed')
  trial.expect(failed.length === 1 && failed[0]!.error.includes('cannot stomach'), `${failed.length} letters of an effect that failed`)

  mend()
  await database.query('update counting.dead_letters set replay_requested_at = now()')
  const asked = () => database.query('select 1 from counting.dead_letters where replay_requested_at is not null')
  await until(async () => (await asked()).length === 0, { timeoutMs: PARKED_MS, what: 'each letter is tried again' }).catch(() => {})
  const left = (await letters()).length
  trial.expect(left === all.size, `${left} letters are left after the replay, ${all.size} stay poison`)
  trial.measured.set('put away', `${parked.length}, as ${[...new Set(parked.map(({ reason }) => reason))].join(', ')}`)
}
