import { randomBytes, randomUUID } from 'node:crypto'
import { type Answer, type Client, client, openSocket, type Person, person, type Scope, type Socket } from '@parley/test-kit'

/** A platform, as far as somebody outside of it and somebody on its bus can reach it. */
export interface Doors {
  url: string
  natsUrl: string
  token(who: Person): string
  query<R extends Record<string, unknown>>(text: string, values?: unknown[]): Promise<R[]>
}

/** What a path, a body or a frame may name. */
export interface Ids {
  conversation_id: string
  message_id: string
  user_id: string
  project_id: string
  scheduled_id: string
}

/**
 * Who asks, in their relation to what is asked for: a conversation of one organization. Colleagues are of that
 * organization; foreigners are of another one, where they own a conversation themselves.
 */
export const FOREIGN = ['foreign member', 'foreign admin'] as const
export const OUTSIDE = ['colleague', 'colleague who is an admin', 'removed participant'] as const
export const INSIDE = ['participant', 'owner'] as const
export const PRINCIPALS = ['anonymous', ...FOREIGN, ...OUTSIDE, ...INSIDE] as const
export type Principal = (typeof PRINCIPALS)[number]

/** What somebody received who must not know. */
interface Heard {
  where: string
  text: string
}

export interface Stage {
  doors: Doors
  people: Record<Exclude<Principal, 'anonymous'>, Person>
  /** In no conversation at all. */
  spare: Person
  /** What is not to be seen. */
  ids: Ids
  /** What the foreigners have themselves: good in everything. */
  own: Record<(typeof FOREIGN)[number], Ids>
  /** In every name, title and text of the organization. */
  orgMark: string
  /** In everything that is said in the conversation. */
  conversationMark: string
  /** Sentences: what was found wrong. */
  findings: string[]
  /** How many calls, frames and requests were made. */
  probes: number
  /** Keeps what reached somebody, to be searched for marks. */
  hear(who: Principal, where: string, received: unknown): void
  as(who: Principal): Client
  say(by: Person, conversation_id: string, content: string): Promise<string>
  open(t: Scope, who: Exclude<Principal, 'anonymous'>): Promise<Socket>
  /** Everything in the database that belongs to the organization, as one text. */
  snapshot(): Promise<string>
  forget(): Promise<void>
  searchMarks(): void
}

const TABLES = [
  'organizations',
  'users',
  'projects',
  'reactions',
  'project_members',
  'blocks',
  'conversations',
  'participants',
  'messages',
  'message_revisions',
  'scheduled_messages'
] as const

/** Sets up two organizations that know nothing of each other. */
export async function setStage(doors: Doors): Promise<Stage> {
  const [org_id, foreign_id] = [randomUUID(), randomUUID()]
  const orgMark = `mark-${randomBytes(6).toString('hex')}`
  const conversationMark = `secret-${randomBytes(6).toString('hex')}`
  const ours = (name: string, role: Person['role'] = 'member') => person({ org_id, name: `${name} ${orgMark}`, role })
  const people: Stage['people'] = {
    'foreign member': person({ org_id: foreign_id, name: 'Foreigner' }),
    // An admin of another organization is as foreign as anyone of it.
    'foreign admin': person({ org_id: foreign_id, name: 'Chief', role: 'admin' }),
    colleague: ours('Colleague'),
    'colleague who is an admin': ours('Admin', 'admin'),
    'removed participant': ours('Removed'),
    participant: ours('Participant'),
    owner: ours('Owner')
  }
  const [spare, foreignMate] = [ours('Spare'), person({ org_id: foreign_id, name: 'Mate' })]
  const clientOf = (who: Person) => client(doors.url, doors.token(who))
  for (const who of [...Object.values(people), spare, foreignMate]) await good(clientOf(who).get('/me'))

  const talk = async (owner: Person, others: Person[], title: string): Promise<string> => {
    const body = { type: 'group', title, description: title, metadata: { note: title }, participant_ids: others.map(({ id }) => id) }
    return (await good(clientOf(owner).post('/conversations', body))).body.id
  }
  const say: Stage['say'] = async (by, conversation_id, content) => {
    const body = { content, client_message_id: `${content.slice(0, 40)}-${randomUUID().slice(0, 8)}`, metadata: { note: content } }
    return (await good(clientOf(by).post(`/conversations/${conversation_id}/messages`, body))).body.id
  }
  const schedule = async (by: Person, conversation_id: string, content: string): Promise<string> => {
    const body = { content, send_at: new Date(Date.now() + 86_400_000).toISOString(), metadata: { note: content } }
    return (await good(clientOf(by).post(`/conversations/${conversation_id}/messages`, body))).body.id
  }
  const { owner, participant, 'removed participant': removed } = people
  const conversation_id = await talk(owner, [participant, removed], `${conversationMark} ${orgMark}`)
  const message_id = await say(owner, conversation_id, `${conversationMark} ${orgMark}`)
  await good(clientOf(owner).patch(`/messages/${message_id}`, { content: `${conversationMark} ${orgMark} edited` }))
  await good(clientOf(owner).delete(`/conversations/${conversation_id}/participants/${removed.id}`))
  const scheduled_id = await schedule(owner, conversation_id, `${conversationMark} ${orgMark} later`)
  const project = async (org: string, owner: Person): Promise<string> => {
    const id = randomUUID()
    const host = clientOf(person({ org_id: org, name: org === org_id ? `Host ${orgMark}` : 'Host', role: 'service' }))
    await good(host.put(`/projects/${id}`, { name: org === org_id ? `Project ${orgMark}` : 'Elsewhere' }))
    await good(host.put(`/projects/${id}/members/${owner.id}`))
    return id
  }
  const project_id = await project(org_id, owner)
  const own = {} as Stage['own']
  for (const name of FOREIGN) {
    const conversation = await talk(people[name], [foreignMate], 'Elsewhere')
    own[name] = {
      conversation_id: conversation,
      message_id: await say(people[name], conversation, 'Elsewhere'),
      user_id: foreignMate.id,
      project_id: await project(foreign_id, people[name]),
      scheduled_id: await schedule(people[name], conversation, 'Elsewhere')
    }
  }

  const heard: (Heard & { isForeign: boolean })[] = []
  const stage: Stage = {
    doors,
    people,
    spare,
    ids: { conversation_id, message_id, user_id: participant.id, project_id, scheduled_id },
    own,
    orgMark,
    conversationMark,
    findings: [],
    probes: 0,
    hear(who, where, received) {
      if (who === 'participant' || who === 'owner') return
      const isForeign = who === 'anonymous' || who.startsWith('foreign')
      heard.push({ where: `${who}: ${where}`, text: JSON.stringify(received), isForeign })
    },
    as: who => (who === 'anonymous' ? client(doors.url) : clientOf(people[who])),
    say,
    async open(t, who) {
      const socket = openSocket(doors.url, doors.token(people[who]), { how: 'header' })
      t.teardown(() => socket.kill())
      await socket.ready
      return socket
    },
    async snapshot() {
      const parts: string[] = []
      for (const table of TABLES) {
        const key = table === 'organizations' ? 'id' : 'org_id'
        const rows = await doors.query(`select to_jsonb(x) as row from messaging.${table} x where ${key} = $1 order by x::text`, [org_id])
        parts.push(`${table} ${JSON.stringify(rows)}`)
      }
      return parts.join('\n')
    },
    async forget() {
      for (const table of [
        'scheduled_messages',
        'message_revisions',
        'reactions',
        'absences',
        'messages',
        'participants',
        'conversations',
        'blocks',
        'project_members',
        'projects',
        'users',
        'organizations'
      ]) {
        await doors.query(`delete from messaging.${table} where ${table === 'organizations' ? 'id' : 'org_id'} = any($1)`, [
          [org_id, foreign_id]
        ])
      }
    },
    searchMarks() {
      for (const { where, text, isForeign } of heard) {
        const marks = isForeign ? [orgMark, conversationMark, org_id] : [conversationMark]
        for (const mark of marks) if (text.includes(mark)) stage.findings.push(`${where} was told ${mark}: ${text.slice(0, 300)}`)
      }
    }
  }
  return stage
}

async function good<A extends Answer<unknown>>(asked: Promise<A>): Promise<A> {
  const answer = await asked
  if (answer.status >= 300) throw new Error(`the stage could not be set: ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer
}

/** An answer without what differs in each: times, the request's id, and the ids that were asked for. */
export function alike(answer: unknown, asked: Readonly<Record<string, string>>): string {
  let text = JSON.stringify(answer).replace(/"(timestamp|request_id)":"[^"]*"/g, '"$1":""')
  for (const id of Object.values(asked)) text = text.replaceAll(id, 'ID')
  return text
}
