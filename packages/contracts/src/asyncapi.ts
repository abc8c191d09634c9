import { CLOSE } from './close-codes.ts'
import { frames } from './define.ts'
import { reference } from './openapi.ts'

/** AsyncAPI 3.0 of the WebSocket, made from the registry of frames. */
export function asyncApi(version: string): Record<string, unknown> {
  const schemas = new Map<string, unknown>()
  const messages: Record<string, unknown> = {}
  for (const { type, from, summary, schema } of frames.values()) {
    messages[`${from}_${type}`] = { name: type, summary, payload: reference(schema, schemas) }
  }
  const of = (from: string) =>
    [...frames.values()].filter(frame => frame.from === from).map(frame => ({ $ref: `#/channels/socket/messages/${from}_${frame.type}` }))
  return {
    asyncapi: '3.0.0',
    info: { title: 'Parley live', version, description: CLOSE_CODES, license: { name: 'Apache-2.0' } },
    defaultContentType: 'application/json',
    channels: {
      socket: {
        address: '/api/v1/ws',
        messages: Object.fromEntries(Object.keys(messages).map(key => [key, { $ref: `#/components/messages/${key}` }]))
      }
    },
    operations: {
      clientSends: { action: 'receive', channel: { $ref: '#/channels/socket' }, messages: of('client') },
      serverSends: { action: 'send', channel: { $ref: '#/channels/socket' }, messages: of('server') }
    },
    components: { messages, schemas: Object.fromEntries(schemas) }
  }
}

const CLOSE_CODES = `Close codes: ${Object.values(CLOSE)
  .map(({ code, reason, client }) => `${code} ${reason} (the client ${client})`)
  .join('; ')}.`
