import { setTimeout as delay } from 'node:timers/promises'
import { until } from '@parley/test-kit'
import { Rest } from '../client/rest.ts'
import type { LinkPlace } from '../platform.ts'
import { Probe } from '../probe.ts'
import { type Link, startLink, type Way } from '../proxy.ts'
import type { FaultCase, Trial } from '../trial.ts'

/**
 * TCP's checksum and the frames of a network card catch nearly all that a network does to bits. What gets past them, these
 * links have nothing against but the shape of their protocols: a flip there ends the connection. A flip inside of a text does
 * not, and the second half of this case shows that. TLS is what makes a link safe from that.
 */
const PLACES: readonly LinkPlace[] = ['clients', 'gateway-nats', 'store-nats', 'store-postgres']
const WAYS: readonly Way[] = ['up', 'down']
const QUIET_MS = 500

export const flippedBits: FaultCase = {
  id: 'T-NW-7',
  title: "a bit of a link's protocol is flipped, on each kind of link, each way; and one inside of a text",
  pass: 'the connection is given up, and nothing wrong is stored or shown; inside of a text a plain link has nothing against it, which is said',
  platform: { links: PLACES },
  // An event that was lost with no connection lost is found by the comparison of versions, every 30 s.
  convergeMs: 40_000,
  async run(trial) {
    let flips = 0
    for (let round = 0; round < trial.times(2, 1); round++) {
      for (const place of PLACES) {
        for (const way of trial.isShort ? [shortWay(place, trial)] : WAYS) {
          await flipOne(trial, place, way)
          flips++
        }
      }
    }
    trial.measured.set('bits of protocols flipped, each ended its connection', `${flips}`)
    await flipText(trial)
  }
}

/** The library of NATS reads nothing more of what it cannot read, and notices so by its pings: 15 s, for the full form. */
const shortWay = (place: LinkPlace, { random }: Trial): Way => (place.endsWith('nats') ? 'up' : random.pick(WAYS))

/** A connection that a flip met: how many pieces have passed on it since. */
interface Hit {
  since: number
}

/** Flips one bit of the next piece that begins with the head of a message; only then is it known what the bit means. */
function armed(place: LinkPlace, way: Way, trial: Trial): { transform: () => (piece: Buffer) => Buffer; hits: Hit[] } {
  const hits: Hit[] = []
  const transform = () => {
    let hit: Hit | undefined
    return (piece: Buffer) => {
      if (hit) hit.since++
      if (hits.length > 0) return piece
      const bits = headOf(place, way, piece)
      if (!bits) return piece
      hit = { since: 0 }
      hits.push(hit)
      const flipped = Buffer.from(piece)
      flipped[0] = flipped[0]! ^ trial.random.pick(bits)
      return flipped
    }
  }
  return { transform, hits }
}

async function flipOne(trial: Trial, place: LinkPlace, way: Way): Promise<void> {
  const link = trial.random.pick(trial.platform.links[place])
  const { transform, hits } = armed(place, way, trial)
  await trial.strike(`a bit of the protocol is flipped: ${place}, ${way}`, {
    async down() {
      link.toxics[way] = { transform }
      await until(() => hits.length > 0, { timeoutMs: 20_000, what: `a message passes on ${place}, ${way}` })
    }
  })
  const [hit] = hits
  await until(
    async () => {
      const { since } = hit!
      await delay(QUIET_MS)
      return hit!.since === since
    },
    { timeoutMs: 20_000, what: 'nothing passes any more' }
  ).catch(() => trial.expect(false, `${place}, ${way}: the connection went on after a bit of its protocol was flipped`))
  link.heal()
}

const RESERVED = [0x40, 0x20, 0x10]
const NATS_VERB = /^(PUB|HPUB|MSG|HMSG|PING|PONG|SUB|UNSUB)[ \r]/
/** Not 0x20: in either case it is the same verb. */
const VERB = [0x01, 0x02, 0x08, 0x10, 0x40, 0x80]
/** No type of a message has it. */
const TYPE = [0x80]
const TEXT = 0x81
const HEAD_BYTES = 32

/** The bits that may be flipped in the first byte of a piece; undefined where it does not begin with the head of a message. */
function headOf(place: LinkPlace, way: Way, piece: Buffer): number[] | undefined {
  if (place === 'clients') {
    if (piece[0] !== TEXT || piece.length < 6) return undefined
    const isMasked = (piece[1]! & 0x80) !== 0
    if (way === 'up') return isMasked ? RESERVED : undefined
    return piece.subarray(0, HEAD_BYTES).includes('{"type":') ? RESERVED : undefined
  }
  if (place === 'store-postgres') return isMessages(piece) ? TYPE : undefined
  return NATS_VERB.test(piece.subarray(0, HEAD_BYTES).toString('latin1')) ? VERB : undefined
}

/** Whether it is whole messages of PostgreSQL, one after the other: a type and a length each. */
function isMessages(piece: Buffer): boolean {
  let at = 0
  while (at + 5 <= piece.length) {
    const type = piece[at]!
    const length = piece.readInt32BE(at + 1)
    if (type < 0x31 || type > 0x7a || length < 4) return false
    at += 1 + length
  }
  return at === piece.length
}

/** Where the flip is put in. A request to the public door is plain HTTP here. */
const ROADS = [
  { name: 'client to gateway', place: 'clients', way: 'up' },
  { name: 'gateway to NATS', place: 'gateway-nats', way: 'up' },
  { name: 'NATS to store', place: 'store-nats', way: 'down' },
  { name: 'store to PostgreSQL', place: 'store-postgres', way: 'up' }
] as const
const BEFORE = 'A'
const BIT = 0x02
const AFTER = 'C'

/**
 * What happens to a text in which a bit flips on its way to the database: it is stored like any other. Before the store that is
 * as if it had been sent so, and the acknowledgement shows it. Behind the store it is worse: what is acknowledged and told live
 * is made from the store's own copy, and says something else than what is stored. Hence a conversation that no reader of the
 * load is in, and for this one road an outcome that the history calls unknown.
 */
async function flipText(trial: Trial): Promise<void> {
  const probe = new Probe('nw7', trial.history, trial.world)
  const conv = await quietTalk(trial, probe)
  const door = await startLink(trial.scope, trial.platform.gateways[0]!.url)
  const rest = new Rest()
  trial.scope.teardown(() => rest.close())
  const outcomes: string[] = []
  for (const { name, place, way } of ROADS) {
    const said = probe.next({ conv, more: ` ${AFTER}` })
    const sent = said.content.slice(0, -1) + BEFORE
    const links = place === 'clients' ? [door] : trial.platform.links[place]
    for (const link of links) flipIn(link, way, sent)
    const outcome = await send(trial, rest, door.url, probe, { ...said, sent })
    for (const link of links) link.heal()
    const [row] = await trial.platform.database.query<{ content: string }>(
      'select content from messaging.messages where conversation_id = $1 and client_message_id = $2',
      [said.conv, said.key]
    )
    const stored = row?.content === said.content ? 'stored as it arrived' : row ? 'stored as it was sent' : 'not stored'
    outcomes.push(`${name}: ${stored}, ${outcome}`)
    trial.expect(row === undefined || row.content === said.content, `${name}: ${JSON.stringify(row?.content)} was stored for ${sent}`)
  }
  trial.measured.set('a bit flipped inside of a text', outcomes.join('; '))
}

async function quietTalk({ platform, world }: Trial, { who }: Probe): Promise<string> {
  const other = world.senders.find(({ id, org_id }) => id !== who.id && org_id === who.org_id)!
  const { status, body } = await platform.client(who).post('/conversations', { type: 'group', participant_ids: [other.id] })
  if (status !== 201) throw new Error(`no conversation could be made: ${status} ${JSON.stringify(body)}`)
  world.cast.conversations.push({ id: body.id, org_id: who.org_id, members: [who.id, other.id] })
  return body.id
}

function flipIn(link: Link, way: Way, sent: string): void {
  link.toxics[way] = {
    transform: () => piece => {
      const at = piece.indexOf(sent)
      if (at === -1) return piece
      const flipped = Buffer.from(piece)
      const last = at + Buffer.byteLength(sent) - 1
      flipped[last] = flipped[last]! ^ BIT
      return flipped
    }
  }
}

async function send(
  { platform }: Trial,
  rest: Rest,
  url: string,
  probe: Probe,
  { sent, ...said }: { conv: string; key: string; content: string; sent: string }
): Promise<string> {
  const of = probe.attempt(said)
  const { status, body } = await rest.ask(
    url,
    platform.token(probe.who),
    'POST',
    `/conversations/${said.conv}/messages`,
    { content: sent, client_message_id: said.key },
    15_000
  )
  if (status >= 300) {
    probe.unknown(of, body.code)
    return `answered ${status} ${body.code}`
  }
  if (body.content === said.content) probe.ok(of, body)
  else probe.unknown(of, 'acknowledged with another text than the one that is stored')
  return body.content === sent ? 'the acknowledgement shows what was sent' : 'the acknowledgement shows what was stored'
}
