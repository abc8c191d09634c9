import {
  AddReaction,
  AddReactionFrame,
  AppError,
  check,
  DeleteMessage,
  DeleteMessageFrame,
  EditMessage,
  EditMessageFrame,
  ERRORS,
  type FrameContract,
  JoinFrame,
  LeaveFrame,
  MarkRead,
  MarkReadFrame,
  PingFrame,
  RemoveReaction,
  RemoveReactionFrame,
  ResumeFrame,
  SendMessageFrame
} from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { Static, TSchema } from '@sinclair/typebox'
import { type Sends, standingOf } from '../sends.ts'
import { ownNames } from '../source-names.ts'
import { respell } from '../spellings.ts'
import type { Connection } from './connection.ts'
import { textFrame } from './frame.ts'
import type { Hub } from './hub.ts'

interface Command {
  contract: FrameContract
  run: (connection: Connection, frame: never) => Promise<object | undefined> | object | undefined
}

/** What a client may do on a socket that is authenticated: type, contract, answer. Undefined answers by itself. */
export type Commands = ReadonlyMap<string, Command>

/** Frames of features that this server does not offer: understood, and refused without counting as malformed. */
const NOT_OFFERED = new Set([
  'typing',
  'set_presence',
  'subscribe_presence',
  'unsubscribe_presence',
  'subscribe_dashboard',
  'unsubscribe_dashboard'
])

export function createCommands({ bus, hub, sends }: { bus: Bus; hub: Hub; sends: Sends }): Commands {
  const table: Command[] = [
    command(PingFrame, connection => {
      connection.write(PONG)
      return undefined
    }),
    command(SendMessageFrame, (connection, { type: _, id, ...message }) => {
      const { id: user_id, org_id } = connection.identity!.profile
      connection.inHand++
      sends.send({ ...message, user_id, org_id }, connection, answer => {
        connection.inHand--
        if (answer instanceof AppError) return refuse(connection, id, answer)
        const standing = standingOf(answer)
        // The line of the reply, as it came, behind the head of an ack.
        if (!standing) return connection.write(textFrame(ackHead(id), answer.subarray(1)))
        const { read_by: _, ...message } = standing
        acknowledge(connection, id, { message, duplicate: true })
      })
      return undefined
    }),
    command(EditMessageFrame, async (connection, { message_id, content }) => ({
      message: await bus.request(EditMessage, { actor: actorOf(connection), message_id, content })
    })),
    command(DeleteMessageFrame, async (connection, { message_id }) => {
      const { message } = await bus.request(DeleteMessage, { actor: actorOf(connection), message_id })
      return { message }
    }),
    command(AddReactionFrame, async (connection, { message_id, emoji }) => ({
      message: await bus.request(AddReaction, { actor: actorOf(connection), message_id, emoji })
    })),
    command(RemoveReactionFrame, async (connection, { message_id, emoji }) => ({
      message: await bus.request(RemoveReaction, { actor: actorOf(connection), message_id, emoji })
    })),
    command(MarkReadFrame, async (connection, { type: _, id: __, ...position }) => {
      const { last_read_seq, unread_count } = await bus.request(MarkRead, {
        actor: actorOf(connection),
        ...position,
        connection_id: connection.id
      })
      return { conversation_id: position.conversation_id, last_read_seq, unread_count }
    }),
    command(JoinFrame, async (connection, { conversation_id }) => {
      const room = await hub.catchUp.roomFor(connection, conversation_id)
      await hub.view(connection, room)
      return { conversation_id, version: room.version!, presence: [] }
    }),
    command(LeaveFrame, (connection, { conversation_id }) => {
      const room = hub.roomOf(connection, conversation_id)
      if (room) hub.unview(connection, room)
      return { conversation_id }
    }),
    command(ResumeFrame, async (connection, { id, cursors }) => {
      const resumed = await hub.catchUp.resume(connection, cursors)
      connection.send({ type: 'resumed', ...(id !== undefined && { id }), ...resumed })
      return undefined
    })
  ]
  return new Map(table.map(entry => [entry.contract.type, entry]))
}

function command<S extends TSchema>(
  contract: FrameContract<S>,
  run: (connection: Connection, frame: Static<S>) => Promise<object | undefined> | object | undefined
): Command {
  return { contract, run }
}

const PONG = textFrame('{"type":"pong"}')

function ackHead(id: string | undefined): string {
  return id === undefined ? '{"type":"ack",' : `{"type":"ack","id":${JSON.stringify(id)},`
}

function actorOf(connection: Connection): { user_id: string; org_id: string; role: string } {
  const { id: user_id, org_id, role } = connection.identity!.profile
  return { user_id, org_id, role }
}

/** Questions of one client that may be under way: what comes beyond is refused, and nothing is queued without bound. */
const IN_HAND_MAX = 256

/**
 * Runs a frame of an authenticated client and answers it once, by `ack` or `error`.
 *
 * @throws AppError invalid_frame, unknown_field … where the frame breaks its contract: the caller counts these
 */
export function runCommand(commands: Commands, connection: Connection, type: string, frame: object): void {
  const id = idOf(frame)
  const known = commands.get(type)
  if (!known) {
    if (!NOT_OFFERED.has(type)) throw new AppError('invalid_frame', `type ${type.slice(0, 40)} is not known`)
    return refuse(connection, id, new AppError('unavailable', `${type} is not offered by this server yet`))
  }
  const named = ownNames(known.contract.schema, frame) as object
  check(known.contract.schema, named, 'invalid_frame')
  respell(known.contract.schema, named)
  if (connection.inHand >= IN_HAND_MAX)
    return refuse(connection, id, new AppError('rate_limited', 'too many questions at once', { retry_after_ms: 100 }))
  answer(known, connection, id, named)
}

function answer({ run }: Command, connection: Connection, id: string | undefined, frame: object): void {
  try {
    const result = run(connection, frame as never)
    if (result instanceof Promise) void answerLater(connection, id, result)
    else if (result) acknowledge(connection, id, result)
  } catch (error) {
    refuse(connection, id, error)
  }
}

async function answerLater(connection: Connection, id: string | undefined, result: Promise<object | undefined>): Promise<void> {
  connection.inHand++
  try {
    const answer = await result
    if (answer) acknowledge(connection, id, answer)
  } catch (error) {
    refuse(connection, id, error)
  } finally {
    connection.inHand--
  }
}

function acknowledge(connection: Connection, id: string | undefined, answer: object): void {
  connection.send({ type: 'ack', ...(id !== undefined && { id }), ...answer })
}

/** Answers a frame with an error. What is no AppError is told without detail, and thrown on to be logged. */
export function refuse(connection: Connection, id: string | undefined, error: unknown, ws_code?: number): void {
  const known = error instanceof AppError ? error : new AppError('internal', 'something went wrong on our side', { cause: error })
  const { status, retryable, ...more } = ERRORS[known.code]
  const code = ws_code ?? ('ws_code' in more ? more.ws_code : undefined)
  connection.send({
    type: 'error',
    ...(id !== undefined && { id }),
    ...known.toBody(),
    status,
    ...(code !== undefined && { ws_code: code }),
    retryable
  })
  if (known !== error) connection.onFault(error, connection)
}

/** The id of a frame that was refused before anyone looked into it: its answer carries it all the same. */
export function idIn(text: string): string | undefined {
  try {
    const frame: unknown = JSON.parse(text)
    return typeof frame === 'object' && frame !== null ? idOf(frame) : undefined
  } catch {
    return undefined
  }
}

/** The id of a frame that may not fit its contract. */
export function idOf(frame: object): string | undefined {
  const { id } = frame as { id?: unknown }
  return typeof id === 'string' && id.length <= 128 ? id : undefined
}
