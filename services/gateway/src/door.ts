import { isUtf8 } from 'node:buffer'
import { randomUUIDv7 } from 'node:crypto'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import { AppError, canonicalUrl, ERRORS, type ErrorCode, parseJson, problem } from '@parley/contracts'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController
} from 'fastify'
import { type Config, listOf } from './config.ts'

const BODY_MAX_BYTES = 256 * 1024
const REQUEST_TIMEOUT_MS = 30_000
const REQUEST_ID = /^[\w.:-]{1,128}$/
const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/

/** The public door: how requests are read, how errors are told, and what every answer carries. */
export async function createDoor(config: Config, log: FastifyBaseLogger): Promise<FastifyInstance> {
  const proxies = listOf(config.TRUSTED_PROXIES)
  const door: FastifyInstance = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'req_id' }),
    bodyLimit: BODY_MAX_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: 60_000,
    keepAliveTimeout: 65_000,
    maxRequestsPerSocket: 10_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5_000, maxHeaderSize: 16 * 1024, requireHostHeader: false },
    routerOptions: { maxParamLength: 200 },
    // The paths of the source designs end here; behind it there is one interface.
    rewriteUrl: ({ method, url = '/' }) => canonicalUrl(method, url),
    requestIdHeader: false,
    // While stopping, a connection that stands gets its last answer and closes; the framework's own 503 has no shape of ours.
    return503OnClosing: false,
    genReqId: request => {
      const given = request.headers['x-request-id']
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUIDv7()
    },
    ...(proxies.length > 0 && { trustProxy: proxies }),
    frameworkErrors: (error, request, reply) => answerError(error, request as FastifyRequest, reply as unknown as FastifyReply),
    clientErrorHandler(error, socket) {
      if (error.code === 'ECONNRESET' || !socket.writable) return socket.destroy()
      const code: ErrorCode = error.code === 'HPE_HEADER_OVERFLOW' ? 'header_too_large' : 'invalid_request'
      const id = randomUUIDv7()
      const body = JSON.stringify(problem(new AppError(code, 'the request is no proper HTTP'), id))
      const status = ERRORS[code].status
      socket.end(
        `HTTP/1.1 ${status} ${status === 431 ? 'Request Header Fields Too Large' : 'Bad Request'}\r\ncontent-type: application/problem+json\r\nx-request-id: ${id}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
      )
    }
  })

  // JSON and nothing else: a type that is not JSON is 415, never a body that nobody checked.
  door.removeAllContentTypeParsers()
  door.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body: Buffer, done) => {
    if (body.length === 0) return done(null, undefined)
    try {
      if (!isUtf8(body)) throw new AppError('invalid_json', 'the body is not UTF-8')
      done(null, parseJson(body.toString()))
    } catch (error) {
      done(error as Error)
    }
  })
  door.setErrorHandler(answerError)
  door.setNotFoundHandler((request, reply) =>
    answerError(new AppError('not_found', `there is nothing at ${request.method} ${pathOf(request)}`), request, reply)
  )

  const origins = new Set([...listOf(config.ALLOWED_ORIGINS), ...listOf(config.FRONTEND_ORIGIN)])
  await door.register(cors, {
    origin: (origin, decide) => decide(null, origin !== undefined && origins.has(origin) ? origin : false),
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'x-request-id', 'traceparent'],
    exposedHeaders: ['x-request-id', 'retry-after', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'],
    maxAge: 600
  })
  await door.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        connectSrc: ["'self'"],
        imgSrc: ["'self'", 'data:', 'blob:'],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'self'"],
        requireTrustedTypesFor: ["'script'"]
      }
    },
    // The page is often served over plain HTTP on a laptop; who terminates TLS sets this.
    strictTransportSecurity: false
  })

  door.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    // Here and not by the parser, so that it is told in the shape of every error.
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
      throw new AppError('invalid_request', 'the request names no host')
  })
  door.addHook('onResponse', async (request, reply) => {
    const trace = TRACEPARENT.exec(request.headers.traceparent?.toString() ?? '')?.[1]
    request.log.info(
      {
        ...(trace && { trace_id: trace }),
        method: request.method,
        route: request.routeOptions.url ?? 'none',
        status: reply.statusCode,
        user_id: request.actor?.user_id,
        duration_ms: Math.round(reply.elapsedTime * 10) / 10
      },
      'request'
    )
  })
  return door
}

function answerError(error: FastifyError | AppError | Error, request: FastifyRequest, reply: FastifyReply): void {
  const known = toAppError(error)
  if (known.code === 'internal') request.log.error({ err: error }, 'request failed')
  else if (known.status === 503) request.log.warn({ err: error }, 'request could not be served')
  if (known.status === 401) reply.header('www-authenticate', 'Bearer')
  if (known.retry_after_ms !== undefined) reply.header('retry-after', Math.max(1, Math.ceil(known.retry_after_ms / 1_000)))
  reply
    .header('x-request-id', request.id)
    .code(known.status)
    .type('application/problem+json')
    .send(JSON.stringify(problem(known, request.id)))
}

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'too_large',
  415: 'unsupported_media_type',
  429: 'rate_limited',
  431: 'header_too_large',
  503: 'unavailable'
}

/** What the framework refuses has a code of ours as well; anything unexpected is `internal`, without detail. */
function toAppError(error: FastifyError | AppError | Error): AppError {
  if (error instanceof AppError) return error
  const status = (error as FastifyError).statusCode ?? 500
  if (status >= 500 && status !== 503) return new AppError('internal', 'something went wrong on our side', { cause: error })
  return new AppError(BY_STATUS[status] ?? 'invalid_request', status === 415 ? 'send application/json' : error.message, { cause: error })
}

/** As the client gave it, whatever it was rewritten to. */
const pathOf = (request: FastifyRequest): string => request.originalUrl.split('?', 1)[0]!.slice(0, 200)
