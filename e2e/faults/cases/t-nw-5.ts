import type { Message } from '@parley/contracts'
import { openSocket, until } from '@parley/test-kit'
import { Rest } from '../client/rest.ts'
import { Probe, type Said } from '../probe.ts'
import { type Link, startLink } from '../proxy.ts'
import type { FaultCase, Trial } from '../trial.ts'

interface Answer {
  message: Message
  isDuplicate: boolean
}

/** One attempt to send, by a road that may be cut. @returns undefined where no answer came, or one that says to try again */
type Attempt = (said: Said) => Promise<Answer | undefined>

export const lostAnswer: FaultCase = {
  id: 'T-NW-5',
  title: 'a send is committed and its answer is cut off: between client and gateway, and between gateway and NATS',
  pass: 'sent again it has the same id and seq, and says that it is a duplicate; it stands once in the log',
  platform: { links: ['gateway-nats'] },
  async run(trial) {
    const probe = new Probe('nw5', trial.history, trial.world)
    const door = await startLink(trial.scope, trial.platform.gateways[0]!.url, trial.random.fork('door'))
    const rest = new Rest()
    trial.scope.teardown(() => rest.close())
    const bus = trial.platform.links['gateway-nats'][0]!
    const roads: { name: string; times: number; attempt: Attempt; cut: (said: Said) => Link }[] = [
      {
        name: 'the ack of a frame',
        times: trial.times(20, 2),
        attempt: said => bySocket(trial, door.url, probe, said),
        cut: () => cutting(door, '{"type":"ack"')
      },
      {
        name: 'the answer of a request',
        times: trial.times(20, 2),
        attempt: said => byRequest(trial, rest, door.url, probe, said),
        cut: () => cutting(door, 'HTTP/1.1 20')
      },
      {
        name: 'the reply to the gateway',
        times: trial.times(20, 2),
        attempt: said => byRequest(trial, rest, door.url, probe, said),
        // Whatever tells of this send: reply and event come by the same connection.
        cut: ({ key }) => cutting(bus, `"client_message_id":"${key}"`)
      }
    ]
    let lost = 0
    for (const { name, times, attempt, cut } of roads) {
      for (let n = 0; n < times; n++) {
        const said = probe.next({ conv: trial.random.pick(trial.world.conversationsOf(probe.who.org_id)) })
        const link = cut(said)
        const { cuts } = link.counts
        await trial.strike(`${name} is cut off`, {
          down: async () => {
            const first = await attempt(said)
            trial.expect(first === undefined && link.counts.cuts > cuts, `${name}: ${said.key} was answered although that was cut`)
            link.heal()
          },
          up: () => sendAgain(trial, attempt, said, name)
        })
        lost++
      }
    }
    trial.measured.set('answers lost, each sent again', `${lost}`)
  }
}

function cutting(link: Link, marker: string): Link {
  link.toxics.down = { cutAt: { marker, when: 'before' } }
  return link
}

/** Tries until there is an answer, and holds it against what the database had before. */
async function sendAgain(trial: Trial, attempt: Attempt, { conv, key }: Said & { content: string }, name: string): Promise<void> {
  const stored = () =>
    trial.platform.database.query<{ id: string; seq: number }>(
      'select id, seq::int as seq from messaging.messages where conversation_id = $1 and client_message_id = $2',
      [conv, key]
    )
  const [before, ...more] = await stored()
  trial.expect(before !== undefined && more.length === 0, `${name}: ${key} was not committed once when its answer was cut off`)
  const said = { conv, key, content: `${trial.world.markOf(trial.world.senders[0]!.org_id)} ${key}` }
  const again = await until(() => attempt(said), { timeoutMs: 20_000, what: `${key} is answered when it is sent again` })
  const isSame = again.isDuplicate && again.message.id === before?.id && again.message.seq === before.seq
  trial.expect(isSame, `${name}: ${key} sent again was answered ${JSON.stringify(again)}; ${before?.id} stands at ${before?.seq}`)
  trial.expect((await stored()).length === 1, `${name}: ${key} stands more than once`)
}

async function bySocket({ platform }: Trial, url: string, probe: Probe, said: Said): Promise<Answer | undefined> {
  const socket = openSocket(url, platform.token(probe.who), { how: 'header' })
  try {
    await socket.ready
    const of = probe.attempt(said)
    const frame = { type: 'send_message', conversation_id: said.conv, content: said.content, client_message_id: said.key }
    const answer = await socket.ask(frame).catch((error: Error) => error)
    if (answer instanceof Error || answer.type !== 'ack') {
      probe.unknown(of, answer instanceof Error ? 'connection lost' : answer.code)
      return undefined
    }
    probe.ok(of, answer.message)
    return { message: answer.message, isDuplicate: answer.duplicate === true }
  } catch {
    // It did not come in.
    return undefined
  } finally {
    socket.kill()
  }
}

async function byRequest({ platform }: Trial, rest: Rest, url: string, probe: Probe, said: Said): Promise<Answer | undefined> {
  const of = probe.attempt(said)
  const body = { content: said.content, client_message_id: said.key }
  const asked = rest.ask(url, platform.token(probe.who), 'POST', `/conversations/${said.conv}/messages`, body, 6_000)
  const answer = await asked.catch((error: Error) => error)
  if (answer instanceof Error || answer.status >= 300) {
    probe.unknown(of, answer instanceof Error ? 'connection lost' : answer.body.code)
    return undefined
  }
  probe.ok(of, answer.body)
  return { message: answer.body, isDuplicate: answer.body.duplicate === true }
}
