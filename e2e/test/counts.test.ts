import { colleagues, failOnLeftovers, type Person, type Platform, type Socket, startPlatform } from '@parley/test-kit'
import fc from 'fast-check'
import t from 'tap'

failOnLeftovers(t)
t.setTimeout(240_000)

/** Another one draws other runs; a failure prints its own. */
const SEED = 20_261_121
const RUNS = 12
const BURSTS = 12

const platform = await startPlatform(t)

/** What one of the three people does, on one of their three devices. */
interface Deed {
  who: number
  device: number
  what: 'send' | 'edit' | 'delete' | 'read' | 'read up to' | 'leave' | 'rejoin' | 'remove'
  /** Which message or person, as a share of those there are. */
  which: number
  calls: readonly string[]
}

const deed: fc.Arbitrary<Deed> = fc.record({
  who: fc.nat(2),
  device: fc.nat(2),
  what: fc.constantFrom('send', 'send', 'send', 'edit', 'delete', 'read', 'read up to', 'leave', 'rejoin', 'remove'),
  which: fc.double({ min: 0, max: 0.999, noNaN: true }),
  calls: fc.subarray(['0', '1', '2', 'all'])
})

interface Stage {
  owner: Person
  people: Person[]
  devices: Socket[][]
  conversation_id: string
}

t.test('unread and mention counts are what a recount of every message says, whatever three people do on three devices each', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(deed, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: BURSTS }), async bursts => {
      const stage = await setStage()
      try {
        for (const burst of bursts) {
          // What is done at once meets in the store in any order.
          await Promise.all(burst.map(one => act(stage, one)))
          await compare(stage)
        }
      } finally {
        for (const socket of stage.devices.flat()) socket.kill()
      }
    }),
    { seed: SEED, numRuns: RUNS, endOnFailure: true }
  )
  t.pass(`${RUNS} runs of up to ${BURSTS} bursts`)
})

async function setStage(): Promise<Stage> {
  const [owner, ...people] = colleagues('Owner', 'Ada', 'Ben', 'Cleo')
  const as = (who: Person) => platform.client(who)
  await Promise.all([owner, ...people].map(who => as(who).get('/me')))
  const { body } = await as(owner).post('/conversations', { type: 'group', participant_ids: people.map(({ id }) => id) })
  const devices = await Promise.all(people.map(who => Promise.all([0, 1, 2].map(() => platform.connect(t, who)))))
  return { owner, people, devices, conversation_id: body.id }
}

async function act({ owner, people, devices, conversation_id }: Stage, { who, device, what, which, calls }: Deed): Promise<void> {
  const person = people[who]!
  const as = platform.client(person)
  const socket = devices[who]![device]!
  const content = ['hello', ...calls.map(name => `@${name === 'all' ? 'all' : people[Number(name)]!.username}`)].join(' ')
  const at = `/conversations/${conversation_id}`
  const rows = await rowsOf(platform, conversation_id)
  const mine = rows.filter(({ sender_id, content_type }) => sender_id === person.id && content_type !== 'system')
  const own = mine[Math.floor(which * mine.length)]
  // What is refused (by who is out, of what is deleted) changes nothing, which is compared like the rest.
  if (what === 'send') await socket.ask({ type: 'send_message', conversation_id, content })
  else if (what === 'edit' && own) await socket.ask({ type: 'edit_message', message_id: own.id, content })
  else if (what === 'delete' && own) await socket.ask({ type: 'delete_message', message_id: own.id })
  else if (what === 'read') await as.patch(`${at}/read`, {})
  else if (what === 'read up to') await socket.ask({ type: 'mark_read', conversation_id, seq: Math.ceil(which * rows.length) })
  else if (what === 'leave') await as.delete(`${at}/participants/${person.id}`)
  else if (what === 'rejoin') await platform.client(owner).post(`${at}/participants`, { user_id: person.id })
  else if (what === 'remove') await platform.client(owner).delete(`${at}/participants/${people[Math.floor(which * 3)]!.id}`)
}

interface Row {
  [column: string]: unknown
  id: string
  seq: number
  sender_id: string
  content: string
  content_type: string
  deleted: boolean
}

const rowsOf = ({ database }: Platform, conversation_id: string): Promise<Row[]> =>
  database.query<Row>(
    'select id, seq::int, sender_id, content, content_type, deleted_at is not null as deleted from messaging.messages where conversation_id = $1 order by seq',
    [conversation_id]
  )

/** Counts each message by itself, from the rows alone, and holds it against what people are told. */
async function compare({ people, conversation_id }: Stage): Promise<void> {
  const { database } = platform
  const rows = await rowsOf(platform, conversation_id)
  for (const person of people) {
    const [place] = await database.query<{ last_read_seq: number; is_active: boolean }>(
      'select last_read_seq::int, is_active from messaging.participants where conversation_id = $1 and user_id = $2',
      [conversation_id, person.id]
    )
    const absences = await database.query<{ from_seq: number; until_seq: number }>(
      'select from_seq::int, until_seq::int from messaging.absences where conversation_id = $1 and user_id = $2',
      [conversation_id, person.id]
    )
    const { body } = await platform.client(person).get(`/conversations/${conversation_id}`)
    const total = (await platform.client(person).get('/unread')).body
    if (!place?.is_active) {
      if (body.code !== 'not_a_participant' || total.total !== 0)
        throw new Error(`${person.name} is out and was told ${JSON.stringify(total)}`)
      continue
    }
    const unread = rows.filter(
      row =>
        row.seq > place.last_read_seq &&
        !row.deleted &&
        row.content_type !== 'system' &&
        row.sender_id !== person.id &&
        !absences.some(({ from_seq, until_seq }) => from_seq <= row.seq && row.seq <= until_seq)
    )
    const calling = unread.filter(({ content }) => content.split(' ').some(word => word === '@all' || word === `@${person.username}`))
    const told = [body.unread_count, body.mention_count, total.total, total.mention_total]
    const counted = [unread.length, calling.length, unread.length, calling.length]
    if (String(told) !== String(counted)) throw new Error(`${person.name} was told ${told}, and a recount says ${counted}`)
  }
}
