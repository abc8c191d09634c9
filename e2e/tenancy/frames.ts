import { randomUUID } from 'node:crypto'
import { type ErrorCode, type FrameContract, frames } from '@parley/contracts'
import { type Frame, openSocket, type Scope, type Socket, until } from '@parley/test-kit'
import { alike, FOREIGN, type Ids, INSIDE, OUTSIDE, type Stage } from './stage.ts'

/** The type of the answer, or the code of an error. */
type Outcome = 'ack' | 'resumed' | 'pong' | ErrorCode

interface FrameProbe {
  /** The ids that it takes, and what a foreign one gets. */
  ids: Partial<Record<keyof Ids, Outcome>>
  frame: (ids: Ids) => object
  /** What those get who are of the organization and not in the conversation. */
  outside?: Outcome
  participant: Outcome
  owner?: Outcome
}

/** A frame that is missing here fails the test. `auth` and `ping` name nothing and are looked at by themselves. */
export const FRAME_PROBES: Record<string, FrameProbe> = {
  auth: { ids: {}, frame: () => ({}), participant: 'ack' },
  ping: { ids: {}, frame: () => ({}), participant: 'pong' },
  // What is not one's own is told as gone, whether it is there or not.
  resume: {
    ids: { conversation_id: 'resumed' },
    frame: ({ conversation_id }) => ({ cursors: { [conversation_id]: 0 } }),
    outside: 'resumed',
    participant: 'resumed'
  },
  join: {
    ids: { conversation_id: 'conversation_not_found' },
    frame: ({ conversation_id }) => ({ conversation_id }),
    participant: 'ack'
  },
  // Nothing happens, and nothing is told.
  leave: {
    ids: { conversation_id: 'ack' },
    frame: ({ conversation_id }) => ({ conversation_id }),
    outside: 'ack',
    participant: 'ack'
  },
  send_message: {
    ids: { conversation_id: 'conversation_not_found', message_id: 'invalid_reply' },
    frame: ({ conversation_id, message_id }) => ({ conversation_id, reply_to_id: message_id, content: 'x' }),
    participant: 'ack'
  },
  edit_message: {
    ids: { message_id: 'message_not_found' },
    frame: ({ message_id }) => ({ message_id, content: 'x' }),
    participant: 'not_the_sender',
    owner: 'ack'
  },
  delete_message: {
    ids: { message_id: 'message_not_found' },
    frame: ({ message_id }) => ({ message_id }),
    participant: 'not_the_sender',
    owner: 'ack'
  },
  add_reaction: {
    ids: { message_id: 'message_not_found' },
    frame: ({ message_id }) => ({ message_id, emoji: '👍' }),
    participant: 'ack'
  },
  remove_reaction: {
    ids: { message_id: 'message_not_found' },
    frame: ({ message_id }) => ({ message_id, emoji: '👍' }),
    participant: 'ack'
  },
  mark_read: {
    ids: { conversation_id: 'conversation_not_found', message_id: 'message_not_found' },
    frame: ({ conversation_id, message_id }) => ({ conversation_id, message_id }),
    participant: 'ack'
  }
}

const fromClient = (contracts: Iterable<FrameContract>) => [...contracts].filter(({ from }) => from === 'client')

/** Sentences: what clients may send and nobody tries, and what is tried that no client may send. */
export function framesNotTried(contracts: Iterable<FrameContract> = frames.values()): string[] {
  const types = new Set(fromClient(contracts).map(({ type }) => type))
  return [
    ...[...types].filter(type => !FRAME_PROBES[type]).map(type => `${type} has no entry`),
    ...Object.keys(FRAME_PROBES)
      .filter(type => !types.has(type))
      .map(type => `${type} is no frame of a client`)
  ]
}

async function ask(stage: Stage, socket: Socket, type: string, fields: object): Promise<Frame> {
  stage.probes++
  if (type === 'ping') {
    socket.send({ type })
    return socket.next('pong')
  }
  return socket.ask({ type, ...fields }, 10_000)
}

const outcomeOf = (answer: Frame): string => (answer.type === 'error' ? answer.code : answer.type)

function expectOutcome(stage: Stage, what: string, answer: Frame, wanted: Outcome): void {
  if (outcomeOf(answer) !== wanted) stage.findings.push(`${what}: wanted ${wanted}, got ${JSON.stringify(answer).slice(0, 300)}`)
}

/** Every frame by all who may not, then by those who may; what their sockets were told is kept to be searched. */
export async function probeFrames(t: Scope, stage: Stage): Promise<void> {
  const tried = fromClient(frames.values()).filter(({ type }) => FRAME_PROBES[type])
  const sockets = new Map<(typeof FOREIGN | typeof OUTSIDE)[number], Socket>()
  for (const who of [...FOREIGN, ...OUTSIDE]) sockets.set(who, await stage.open(t, who))

  const before = await stage.snapshot()
  for (const { type } of tried) await probeUnknown(t, stage, type)
  for (const who of FOREIGN) {
    for (const { type } of tried) await probeForeign(stage, who, sockets.get(who)!, type)
    await probeForeignToken(t, stage, who)
  }
  for (const who of OUTSIDE) {
    for (const { type } of tried.filter(({ type }) => Object.keys(FRAME_PROBES[type]!.ids).length > 0)) {
      const { frame, outside = 'not_a_participant' } = FRAME_PROBES[type]!
      expectOutcome(stage, `${who}: ${type}`, await ask(stage, sockets.get(who)!, type, frame(stage.ids)), outside)
    }
  }
  if ((await stage.snapshot()) !== before) stage.findings.push('frames that were refused have changed something')

  for (const who of INSIDE) {
    const socket = await stage.open(t, who)
    for (const { type } of tried) {
      const { frame, participant, owner = participant } = FRAME_PROBES[type]!
      const message_id = await stage.say(stage.people.owner, stage.ids.conversation_id, `${stage.conversationMark} ${stage.orgMark}`)
      const fields = type === 'auth' ? { token: stage.doors.token(stage.people[who]) } : frame({ ...stage.ids, message_id })
      expectOutcome(stage, `${who}: ${type}`, await ask(stage, socket, type, fields), who === 'owner' ? owner : participant)
    }
    await heardAll(socket)
  }
  for (const [who, socket] of sockets) {
    // What was on its way has arrived once the answer to this has.
    await ask(stage, socket, 'ping', {})
    for (const frame of socket.frames) stage.hear(who, `frame ${frame.type}`, frame)
  }
}

/** The last message has come to somebody who is in: whoever is told by mistake has been told by now. */
const heardAll = (socket: Socket): Promise<unknown> =>
  until(() => socket.frames.some(({ type }) => type === 'message_deleted' || type === 'new_message'), { what: 'somebody inside is told' })

async function probeUnknown(t: Scope, stage: Stage, type: string): Promise<void> {
  const socket = openSocket(stage.doors.url, '', { how: 'none' })
  t.teardown(() => socket.kill())
  await socket.opened
  stage.probes++
  socket.send({ type, id: 'x', ...FRAME_PROBES[type]!.frame(stage.ids), ...(type === 'auth' && { token: 'nonsense' }) })
  const { code } = await socket.closed
  if (code !== 4001) stage.findings.push(`anonymous: ${type} closed with ${code}`)
  for (const frame of socket.frames) stage.hear('anonymous', `frame ${frame.type}`, frame)
}

async function probeForeign(stage: Stage, who: (typeof FOREIGN)[number], socket: Socket, type: string): Promise<void> {
  const { ids, frame } = FRAME_PROBES[type]!
  for (const [name, wanted] of Object.entries(ids) as [keyof Ids, Outcome][]) {
    const answers: string[] = []
    for (const id of [stage.ids[name], randomUUID()]) {
      const from = socket.frames.length
      const answer = await ask(stage, socket, type, frame({ ...stage.own[who], [name]: id }))
      expectOutcome(stage, `${who}: ${type} with a foreign ${name}`, answer, wanted)
      const { id: _, ...rest } = answer
      const beside = socket.frames.slice(from, socket.frames.indexOf(answer)).filter(told => JSON.stringify(told).includes(id))
      answers.push(alike([rest, beside], { id }))
    }
    if (answers[0] !== answers[1]) {
      stage.findings.push(`${who}: ${type} with a foreign ${name} tells what is there from what is not: ${answers.join(' | ')}`)
    }
  }
}

/** A socket stays whose it is: another one's token, however good, ends it. */
async function probeForeignToken(t: Scope, stage: Stage, who: (typeof FOREIGN)[number]): Promise<void> {
  const socket = await stage.open(t, who)
  stage.probes++
  socket.send({ type: 'auth', id: 'x', token: stage.doors.token(stage.people.participant) })
  const { code } = await socket.closed
  if (code !== 4001) stage.findings.push(`${who}: a socket took the token of another organization's person, and closed with ${code}`)
  for (const frame of socket.frames) stage.hear(who, `frame ${frame.type}`, frame)
}
