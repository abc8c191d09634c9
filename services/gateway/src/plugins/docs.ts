import { asyncApi, CLOSE, ERRORS, frames, openApi, ROUTES, routes } from '@parley/contracts'
import type { FastifyInstance } from 'fastify'

const VERSION = '1.0.0'
const PLACES = ['', '/api/v1']

/** The two specifications, and a page to read them, made from the contracts that the gateway checks by. */
export function docs(door: FastifyInstance): void {
  const rest = JSON.stringify(openApi(VERSION))
  const live = JSON.stringify(asyncApi(VERSION))
  const html = page()
  for (const place of PLACES) {
    door.get(place + ROUTES.openApi.path, (_, reply) => reply.type('application/json; charset=utf-8').send(rest))
    door.get(place + ROUTES.asyncApi.path, (_, reply) => reply.type('application/json; charset=utf-8').send(live))
    door.get(place + ROUTES.docs.path, (_, reply) => reply.type('text/html; charset=utf-8').send(html))
    door.get(`${place}/docs.css`, (_, reply) => reply.type('text/css; charset=utf-8').send(STYLE))
  }
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`)

function table(head: string[], rows: string[][]): string {
  const cells = (row: string[], tag: string) => `<tr>${row.map(cell => `<${tag}>${cell}</${tag}>`).join('')}</tr>`
  return `<div class="scroll"><table><thead>${cells(head, 'th')}</thead><tbody>${rows.map(row => cells(row, 'td')).join('')}</tbody></table></div>`
}

const code = (text: string): string => `<code>${escaped(text)}</code>`

function page(): string {
  const tags = [...new Set([...routes.values()].map(route => route.tag))]
  const calls = tags
    .map(tag => {
      const rows = [...routes.values()]
        .filter(route => route.tag === tag)
        .map(route => [
          `<b class="${route.method.toLowerCase()}">${route.method}</b>`,
          code(route.path),
          `${escaped(route.summary)}${route.public ? ' <i>Open.</i>' : ''}`,
          route.errors.map(code).join(' ')
        ])
      return `<h3>${escaped(tag)}</h3>${table(['', 'path', 'what it does', 'errors of its own'], rows)}`
    })
    .join('')
  const ofFrames = (from: string) =>
    table(
      ['type', 'fields', 'what it says'],
      [...frames.values()]
        .filter(frame => frame.from === from)
        .map(({ type, summary, schema }) => [
          code(type),
          Object.keys(schema.properties ?? {})
            .filter(name => name !== 'type')
            .map(name => code(schema.required?.includes(name) ? name : `${name}?`))
            .join(' '),
          escaped(summary)
        ])
    )
  const closes = table(
    ['code', 'reason', 'the client then'],
    Object.values(CLOSE).map(({ code: number, reason, client }) => [code(String(number)), escaped(reason), escaped(client)])
  )
  const errors = table(
    ['code', 'status', 'meaning', 'try again'],
    Object.entries(ERRORS).map(([name, { status, title, retryable }]) => [
      code(name),
      String(status),
      escaped(title),
      retryable ? 'yes' : 'no'
    ])
  )
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Parley: the interface</title><link rel="stylesheet" href="docs.css"></head><body><main>
<h1>Parley: the interface</h1>
<p>REST and one WebSocket, both under <code>/api/v1</code>. For tools: <a href="openapi.json">OpenAPI 3.1</a>, <a href="asyncapi.json">AsyncAPI 3.0</a>.
Calls take <code>Authorization: Bearer &lt;token&gt;</code>, but for those marked as open. Every answer has <code>x-request-id</code>.</p>
<h2>REST</h2>${calls}
<h2>WebSocket <code>GET /api/v1/ws</code></h2>
<p>Authenticate by header, <code>?ticket=</code>, <code>?token=</code> or a first frame <code>auth</code> within 5 s. A frame may carry <code>id</code>; its one <code>ack</code> or <code>error</code> carries the same.</p>
<h3>client to server</h3>${ofFrames('client')}<h3>server to client</h3>${ofFrames('server')}
<h3>close codes</h3>${closes}<h2>Errors</h2><p>RFC 9457, <code>application/problem+json</code>. Test <code>code</code>; the text is for people.</p>${errors}
</main></body></html>`
}

const STYLE = `:root{color-scheme:light dark;--ink:light-dark(#1c2430,#e6e9ef);--soft:light-dark(#5a6675,#9aa5b4);--line:light-dark(#dfe4ea,#2c3440);--ground:light-dark(#fff,#14181e);--accent:light-dark(#0b6b5d,#5fd0bb)}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,sans-serif}main{max-width:1100px;margin:0 auto;padding:32px 20px 80px}
h1{font-size:2rem;margin:0 0 .5rem}h2{margin:3rem 0 .5rem;padding-top:1rem;border-top:1px solid var(--line)}h3{margin:1.6rem 0 .4rem;color:var(--soft);text-transform:capitalize;font-weight:600}
a{color:var(--accent)}code{font:.88em ui-monospace,monospace}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:start;vertical-align:top;padding:7px 14px 7px 0;border-bottom:1px solid var(--line)}
th{font-size:.8rem;color:var(--soft);font-weight:600}b{font:600 .78rem ui-monospace,monospace;color:var(--accent)}b.delete{color:light-dark(#b3261e,#ff8a80)}`
