import { setTimeout as delay } from 'node:timers/promises'
import { Watch } from '../cpu.ts'
import { Crowd } from './crowd.ts'
import { Histogram } from './histogram.ts'
import type { Answer, Close, Closed, Open, Opened, Order, Ran, RunClosed, RunPaced, Target } from './protocol.ts'
import { clock } from './socket.ts'

// The load generator: a process of its own, on a core of its own where there are two. It does one order at a time.

const DRAIN_MS = 20_000
/** Beyond this much outstanding work a rate is not kept, and more of it would only take longer to clear away. */
const BEHIND_MAX_SECONDS = 0.5

const crowds = new Map<Target, Crowd>()

process.on('message', (order: Order) => {
  carryOut(order).then(
    answer => process.send!({ answer }),
    error => process.send!({ error: (error as Error).stack ?? String(error) })
  )
})
process.on('disconnect', () => process.exit())

function carryOut(order: Order): Promise<Answer> {
  if (order.do === 'open') return open(order)
  if (order.do === 'closed') return runClosed(order)
  if (order.do === 'paced') return runPaced(order)
  return close(order)
}

async function open({ target, urls, conversations, watched }: Open): Promise<Opened> {
  const crowd = new Crowd(target, conversations)
  const watch = new Watch(watched)
  await crowd.open(urls)
  const { seconds, cpu, loadShare } = watch.read()
  crowds.set(target, crowd)
  return { sockets: conversations.reduce((sum, { members }) => sum + members.length, 0), seconds, cpu, loadShare }
}

async function runClosed({ target, rampSeconds, seconds, watched }: RunClosed): Promise<Ran> {
  const crowd = crowds.get(target)!
  let isOver = false
  crowd.onAck = person => {
    if (!isOver) person.send()
  }
  for (const { people } of crowd.conversations) for (const person of people) person.send()
  await delay(rampSeconds * 1_000)

  crowd.beginWindow()
  const watch = new Watch(watched)
  await delay(seconds * 1_000)
  const ran = report(crowd, watch)
  isOver = true
  await drain(crowd)
  return ran
}

async function runPaced({ target, rate, seconds, watched }: RunPaced): Promise<Ran> {
  const crowd = crowds.get(target)!
  crowd.onAck = () => {}
  crowd.beginWindow()
  const late = new Histogram()
  const total = Math.round(rate * seconds)
  const deliveriesEach = crowd.conversations[0]!.people.length
  const outstandingMax = rate * deliveriesEach * BEHIND_MAX_SECONDS
  const watch = new Watch(watched)
  const startedAt = clock()
  let sent = 0
  let gaveUp = false
  while (sent < total && !gaveUp) {
    const elapsed = clock() - startedAt
    const due = Math.min(total, Math.floor((elapsed * rate) / 1_000_000) + 1)
    for (; sent < due; sent++) {
      late.add(clock() - startedAt - (sent * 1_000_000) / rate)
      crowd.personAt(sent).send()
    }
    gaveUp = crowd.outstanding > outstandingMax
    await delay(1)
  }
  if (!gaveUp) await delay(Math.max(0, seconds * 1_000 - (clock() - startedAt) / 1_000))
  const { delivery: _, ...ran } = report(crowd, watch)
  await drain(crowd)
  // Latencies of all that was sent, also of what came after the window.
  return { ...ran, delivery: quantiles(crowd.latencies), late: { p99: late.quantile(0.99) }, gaveUp }
}

function report(crowd: Crowd, watch: Watch): Ran {
  return {
    ...watch.read(),
    sent: crowd.sent,
    accepted: crowd.accepted,
    deliveries: crowd.delivered,
    bytesPerDelivery: crowd.delivered === 0 ? 0 : crowd.deliveredBytes / crowd.delivered,
    ack: quantiles(crowd.acks),
    delivery: quantiles(crowd.latencies),
    late: { p99: 0 },
    gaveUp: false
  }
}

const quantiles = (histogram: Histogram) => ({ p50: histogram.quantile(0.5), p99: histogram.quantile(0.99) })

/** Waits for everything that was sent, and looks whether it is right. */
async function drain(crowd: Crowd): Promise<void> {
  const deadline = Date.now() + DRAIN_MS
  while (!crowd.isComplete && crowd.faults.length === 0 && Date.now() < deadline) await delay(5)
  if (!crowd.isComplete) crowd.fault(`${crowd.outstanding} deliveries and ${crowd.unacknowledged} acknowledgements are missing`)
  crowd.checkComplete()
  if (crowd.faults.length > 0) throw new Error(`the check of the load failed:\n  ${crowd.faults.join('\n  ')}`)
}

async function close({ target }: Close): Promise<Closed> {
  const crowd = crowds.get(target)!
  crowds.delete(target)
  crowd.close()
  return { accepted: Object.fromEntries(crowd.conversations.map(talk => [talk.id, talk.accepted])) }
}
