import { type RequestContract, requests } from '@parley/contracts'
import { profileOf } from '@parley/test-kit'
import { RawNats, type RawReply } from '../src/raw-nats.ts'
import type { Stage } from './stage.ts'

interface RequestProbe {
  /** The request beside its actor, with the ids of the organization that the actor is not of. */
  fields: (stage: Stage) => object
  /** The code that it is refused with; or what its answer is where it lists what is the actor's. */
  wanted: string | ((answer: Record<string, unknown>, stage: Stage) => boolean)
  /** Takes no actor: it is for the services themselves. */
  isInternal?: true
}

const conversation = ({ ids }: Stage) => ({ conversation_id: ids.conversation_id })
const message = ({ ids }: Stage) => ({ message_id: ids.message_id })
const noJob = ({ ids }: Stage) => ({ job_id: ids.message_id })
const member = ({ ids }: Stage) => ({ conversation_id: ids.conversation_id, user_id: ids.user_id })
const scheduled = ({ ids }: Stage) => ({ scheduled_id: ids.scheduled_id })
const project = ({ ids }: Stage) => ({ project_id: ids.project_id })
const projectMember = ({ ids }: Stage) => ({ project_id: ids.project_id, user_id: ids.user_id })
const isEmpty = (value: unknown) => Array.isArray(value) && value.length === 0

/**
 * Every request over NATS by somebody with the right user id and the wrong organization: what a gateway would ask that mixed
 * up whose token it has. A request that is missing here fails the test.
 */
export const REQUEST_PROBES: Record<string, RequestProbe> = {
  'users.list': {
    fields: () => ({ limit: 100 }),
    wanted: ({ users }, { ids }) => !JSON.stringify(users).includes(ids.user_id)
  },
  'users.get': { fields: ({ ids }) => ({ user_id: ids.user_id }), wanted: 'user_not_found' },
  'users.me': { fields: () => ({}), wanted: 'user_not_found' },
  'users.update_me': { fields: () => ({ settings: { x: 1 } }), wanted: 'user_not_found' },
  'users.put': { fields: ({ ids }) => ({ user_id: ids.user_id, display_name: 'x' }), wanted: 'forbidden' },
  'users.deactivate': { fields: ({ ids }) => ({ user_id: ids.user_id }), wanted: 'forbidden' },
  'users.erase': { fields: ({ ids }) => ({ user_id: ids.user_id }), wanted: 'user_not_found' },
  'users.export': { fields: ({ ids }) => ({ user_id: ids.user_id }), wanted: 'user_not_found' },
  'messages.purge': { fields: stage => ({ ...conversation(stage), older_than_days: 1 }), wanted: 'conversation_not_found' },
  // Jobs of other organizations: services/message-store/test/purge.test.ts and export.test.ts.
  'jobs.get': { fields: noJob, wanted: 'job_not_found' },
  'exports.read': { fields: stage => ({ ...noJob(stage), page: 1 }), wanted: 'job_not_found' },
  'blocks.put': { fields: ({ ids }) => ({ user_id: ids.user_id }), wanted: 'user_not_found' },
  'blocks.delete': { fields: ({ ids }) => ({ user_id: ids.user_id }), wanted: 'user_not_found' },
  'blocks.list': { fields: () => ({}), wanted: ({ users }) => isEmpty(users) },
  'projects.put': { fields: project, wanted: 'forbidden' },
  'projects.put_member': { fields: projectMember, wanted: 'forbidden' },
  'projects.delete_member': { fields: projectMember, wanted: 'forbidden' },
  'conversations.list': { fields: () => ({ query: {} }), wanted: ({ conversations }) => isEmpty(conversations) },
  'conversations.get': { fields: conversation, wanted: 'conversation_not_found' },
  'conversations.create': {
    fields: ({ ids }) => ({ type: 'group', participant_ids: [ids.user_id] }),
    wanted: 'user_not_found'
  },
  'conversations.direct': { fields: ({ ids }) => ({ user_id: ids.user_id }), wanted: 'user_not_found' },
  'conversations.change': { fields: stage => ({ ...conversation(stage), title: 'x' }), wanted: 'conversation_not_found' },
  'conversations.change_mine': { fields: stage => ({ ...conversation(stage), pinned: true }), wanted: 'conversation_not_found' },
  'projects.conversations': { fields: ({ ids }) => ({ project_id: ids.project_id, query: {} }), wanted: 'project_not_found' },
  'participants.list': { fields: stage => ({ ...conversation(stage), query: {} }), wanted: 'conversation_not_found' },
  'participants.add': { fields: member, wanted: 'conversation_not_found' },
  'participants.change': { fields: stage => ({ ...member(stage), role: 'admin' }), wanted: 'conversation_not_found' },
  'participants.remove': { fields: member, wanted: 'conversation_not_found' },
  'conversations.changes': { fields: stage => ({ ...conversation(stage), query: { since: 0 } }), wanted: 'conversation_not_found' },
  'conversations.sync': {
    fields: ({ ids }) => ({ cursors: { [ids.conversation_id]: 0 }, added: true }),
    wanted: ({ conversations, added, removed }, { ids }) =>
      isEmpty(conversations) && isEmpty(added) && JSON.stringify(removed) === JSON.stringify([ids.conversation_id])
  },
  'messages.list': { fields: stage => ({ ...conversation(stage), query: {} }), wanted: 'conversation_not_found' },
  'messages.search': {
    fields: stage => ({ query: { q: 'secret', ...conversation(stage) } }),
    wanted: 'conversation_not_found'
  },
  'scheduled.create': {
    fields: stage => ({ ...conversation(stage), content: 'x', send_at: new Date(Date.now() + 3_600_000).toISOString() }),
    wanted: 'conversation_not_found'
  },
  'scheduled.list': { fields: () => ({}), wanted: ({ messages }) => isEmpty(messages) },
  'scheduled.get': { fields: scheduled, wanted: 'message_not_found' },
  'scheduled.change': { fields: stage => ({ ...scheduled(stage), content: 'x' }), wanted: 'message_not_found' },
  'scheduled.cancel': { fields: scheduled, wanted: 'message_not_found' },
  'messages.get': { fields: message, wanted: 'message_not_found' },
  'messages.edit': { fields: stage => ({ ...message(stage), content: 'x' }), wanted: 'message_not_found' },
  'messages.delete': { fields: message, wanted: 'message_not_found' },
  'messages.history': { fields: message, wanted: 'message_not_found' },
  'messages.receipts': { fields: message, wanted: 'message_not_found' },
  'messages.forward': { fields: stage => ({ ...message(stage), ...conversation(stage) }), wanted: 'message_not_found' },
  'messages.replies': { fields: stage => ({ ...message(stage), query: {} }), wanted: 'message_not_found' },
  'messages.pin': { fields: stage => ({ ...message(stage), pinned: true }), wanted: 'message_not_found' },
  'messages.pins': { fields: conversation, wanted: 'conversation_not_found' },
  'messages.restore': { fields: message, wanted: 'message_not_found' },
  'reactions.add': { fields: stage => ({ ...message(stage), emoji: '👍' }), wanted: 'message_not_found' },
  'reactions.remove': { fields: stage => ({ ...message(stage), emoji: '👍' }), wanted: 'message_not_found' },
  'messages.read': { fields: conversation, wanted: 'conversation_not_found' },
  'messages.unread': { fields: () => ({}), wanted: ({ total, conversations }) => total === 0 && isEmpty(conversations) },
  'messages.send': {
    fields: stage => {
      const { owner, 'foreign member': foreigner } = stage.people
      return { sends: [{ user_id: owner.id, org_id: foreigner.org_id, content: 'x', ...conversation(stage) }] }
    },
    wanted: ({ error }) => (error as { code?: string } | undefined)?.code === 'conversation_not_found',
    isInternal: true
  },
  'users.open': {
    fields: ({ people: { owner, 'foreign member': foreigner } }) => ({ users: [{ user_id: owner.id, org_id: foreigner.org_id }] }),
    wanted: ({ states }) => isEmpty((states as { conversations: unknown }[])[0]?.conversations),
    isInternal: true
  },
  // The same person of another organization is another person: this one's profile stays as it was, which the snapshot shows.
  'users.ensure': {
    fields: ({ people: { owner, 'foreign member': foreigner } }) => ({
      users: [profileOf({ ...owner, org_id: foreigner.org_id, name: 'Twin', username: 'twin' })]
    }),
    wanted: ({ ensured }) => ensured === 1,
    isInternal: true
  },
  // These two tell gateways what goes to the sockets of participants alone: no client's word reaches them.
  'conversations.heal': {
    fields: stage => ({ ...conversation(stage), since: 0 }),
    wanted: ({ conversation_id }, { ids }) => conversation_id === ids.conversation_id,
    isInternal: true
  },
  'conversations.heads': {
    fields: ({ ids }) => ({ conversation_ids: [ids.conversation_id] }),
    wanted: ({ versions }) => Array.isArray(versions) && versions.length === 1,
    isInternal: true
  }
}

/** Sentences: requests that nobody tries, and what is tried that is no request. */
export function requestsNotTried(contracts: ReadonlyMap<string, RequestContract> = requests): string[] {
  const wrong: string[] = []
  for (const [name, { request }] of contracts) {
    const probe = REQUEST_PROBES[name]
    if (!probe) wrong.push(`${name} has no entry`)
    else if ('actor' in request.properties === (probe.isInternal === true)) wrong.push(`${name}: an actor it has, or has not`)
  }
  for (const name of Object.keys(REQUEST_PROBES)) if (!contracts.has(name)) wrong.push(`${name} is no request`)
  return wrong
}

/** Asks past the gateway, as the owner under the foreigners' organization. */
export async function probeRequests(stage: Stage): Promise<void> {
  const nats = await RawNats.connect(stage.doors.natsUrl)
  try {
    const { owner, 'foreign member': foreigner } = stage.people
    const actor = { user_id: owner.id, org_id: foreigner.org_id, role: 'admin' }
    const before = await stage.snapshot()
    for (const [name, { subject }] of requests) {
      const probe = REQUEST_PROBES[name]
      if (!probe) continue
      // Whoever is made known stays known, and would be found by what comes after.
      if (name === 'users.ensure') continue
      await ask(stage, nats, name, subject, { ...(!probe.isInternal && { actor }), ...probe.fields(stage) })
    }
    const ensure = requests.get('users.ensure')!
    await ask(stage, nats, ensure.name, ensure.subject, REQUEST_PROBES[ensure.name]!.fields(stage))
    if ((await stage.snapshot()) !== before) stage.findings.push('requests of another organization have changed something')
  } finally {
    nats.close()
  }
}

async function ask(stage: Stage, nats: RawNats, name: string, subject: string, request: object): Promise<void> {
  const { wanted } = REQUEST_PROBES[name]!
  stage.probes++
  const reply = await nats.request(subject, request)
  const answer = parsed(reply)
  const isRight = typeof wanted === 'string' ? reply.status >= 400 && answer.code === wanted : wanted(answer, stage)
  if (!isRight) stage.findings.push(`${subject} of another organization: ${reply.status} ${reply.text.slice(0, 300)}`)
  if (!name.startsWith('conversations.he')) stage.hear('foreign member', subject, reply.text)
}

function parsed({ text }: RawReply): Record<string, unknown> {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}
