import { randomUUIDv7 } from 'node:crypto'
import { AppError, check, SendMessages } from '@parley/contracts'
import { errorLine } from '../send/batch.ts'
import { joinLines } from '../send/lines.ts'
import { toOutgoing } from '../send/send.ts'
import type { Store } from '../store.ts'

const decoder = new TextDecoder()

/** Hot path: once a request, which carries what one gateway gathered in one turn. The reply has a line for each send. */
export function sendMessages({ bus, batch }: Store): void {
  bus.serveBytes(SendMessages, async data => {
    const request: unknown = JSON.parse(decoder.decode(data))
    check(SendMessages.request, request)
    const lines = await Promise.all(
      request.sends.map(send => {
        try {
          return batch.send(toOutgoing(send, randomUUIDv7()))
        } catch (error) {
          if (error instanceof AppError) return errorLine(error)
          throw error
        }
      })
    )
    return joinLines(lines)
  })
}
