import type { TSchema } from '@sinclair/typebox'
import { type RouteContract, routes } from './define.ts'
import { ERRORS, type ErrorCode } from './errors.ts'
import { canonicalUrl, SOURCE_CALLS } from './source-paths.ts'

const BASE = '/api/v1'

/** What a call may be refused with for what it brings, whatever it is for. */
function refusalsOf({ public: isPublic, params, query, body }: RouteContract): ErrorCode[] {
  return [
    ...(isPublic ? [] : (['unauthenticated', 'token_expired'] as const)),
    ...(Object.values<TSchema>(params?.properties ?? {}).some(({ code }) => code === 'invalid_id') ? (['invalid_id'] as const) : []),
    ...(query || body ? (['invalid_request', 'unknown_field', 'invalid_text'] as const) : []),
    ...(body ? (['invalid_json', 'too_large', 'unsupported_media_type'] as const) : []),
    'rate_limited',
    'internal',
    'unavailable'
  ]
}

/** OpenAPI 3.1, made from the registry of routes: what the gateway checks is what this says. */
export function openApi(version: string): Record<string, unknown> {
  const schemas = new Map<string, unknown>()
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes.values()) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, schemas) }
  }
  for (const [method, path] of SOURCE_CALLS) {
    const route = routes.get(`${method} ${canonicalUrl(method, path).slice(BASE.length)}`)
    if (!route) continue
    const { operationId: _, ...rest } = operation(route, schemas)
    const summary = `Answers as ${route.method} ${route.path} does: the path of a source design.`
    paths[path] = { servers: [{ url: '/' }], ...paths[path], [method.toLowerCase()]: { ...rest, summary, deprecated: true } }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Parley',
      version,
      summary: 'Messages that were acknowledged are never lost, never doubled, never out of order.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
    },
    servers: [{ url: BASE }],
    security: [{ bearer: [] }],
    tags: [...new Set([...routes.values()].map(route => route.tag))].map(name => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: {
        ...Object.fromEntries([...schemas].sort(([a], [b]) => a.localeCompare(b))),
        Problem: PROBLEM
      }
    }
  }
}

const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'timestamp', 'request_id'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    status_code: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(ERRORS) },
    timestamp: { type: 'string', format: 'date-time' },
    request_id: { type: 'string' },
    errors: { type: 'array', items: { type: 'object', properties: { path: { type: 'string' }, message: { type: 'string' } } } },
    retry_after_ms: { type: 'integer' }
  }
}

function operation(route: RouteContract, schemas: Map<string, unknown>): Record<string, unknown> {
  const codes = [...new Set<ErrorCode>([...refusalsOf(route), ...route.errors])]
  const statuses = [...new Set(codes.map(code => ERRORS[code].status))].sort()
  return {
    operationId: `${route.method.toLowerCase()}${route.path.replace(/[^a-z]+(.)?/gi, (_, c: string | undefined) => (c ?? '').toUpperCase())}`,
    summary: route.summary,
    tags: [route.tag],
    ...(route.deprecated && { deprecated: true }),
    ...(route.public && { security: [] }),
    ...(route.atRoot && { servers: [{ url: BASE }, { url: '/' }] }),
    parameters: [...parameters('path', route.params, schemas), ...parameters('query', route.query, schemas)],
    ...(route.body && { requestBody: { required: true, content: { 'application/json': { schema: reference(route.body, schemas) } } } }),
    responses: {
      ...Object.fromEntries(
        statuses.map(status => [
          status,
          {
            description: codes.filter(code => ERRORS[code].status === status).join(', '),
            content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
          }
        ])
      ),
      ...Object.fromEntries(
        Object.entries(route.replies).map(([status, schema]) => [
          status,
          {
            description: status === '204' ? 'Done' : 'As asked',
            ...(schema && { content: { [route.media ?? 'application/json']: { schema: reference(schema, schemas) } } })
          }
        ])
      )
    }
  }
}

function parameters(place: 'path' | 'query', schema: TSchema | undefined, schemas: Map<string, unknown>): unknown[] {
  const required: string[] = schema?.required ?? []
  return Object.entries<TSchema>(schema?.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: required.includes(name),
    schema: reference(property, schemas)
  }))
}

/** A schema with an `$id` becomes a component and a reference to it; what is not JSON Schema is left out. */
export function reference(schema: TSchema, schemas: Map<string, unknown>): unknown {
  if (schema.$id) {
    if (!schemas.has(schema.$id)) {
      schemas.set(schema.$id, {})
      schemas.set(schema.$id, plain(schema, schemas))
    }
    return { $ref: `#/components/schemas/${schema.$id}` }
  }
  return plain(schema, schemas)
}

function plain(schema: TSchema, schemas: Map<string, unknown>): unknown {
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => key !== '$id' && key !== 'code')
      .map(([key, value]) => [key, nested(key, value, schemas)])
  )
}

function nested(key: string, value: unknown, schemas: Map<string, unknown>): unknown {
  if (key === 'properties' || key === 'patternProperties') {
    return Object.fromEntries(Object.entries(value as Record<string, TSchema>).map(([name, schema]) => [name, reference(schema, schemas)]))
  }
  if ((key === 'items' || key === 'additionalProperties') && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return reference(value as TSchema, schemas)
  }
  if (key === 'anyOf' || key === 'allOf' || (key === 'items' && Array.isArray(value))) {
    return (value as TSchema[]).map(schema => reference(schema, schemas))
  }
  return value
}
