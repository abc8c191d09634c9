import t from 'tap'
import { canonicalUrl, openApi, routes, SOURCE_CALLS } from '../src/index.ts'

t.test('the calls of the source designs stand where this interface has them', t => {
  const rows: [method: string, given: string, canonical: string][] = [
    ['POST', '/api/conversations/c1/files', '/api/v1/conversations/c1/files'],
    [
      'GET',
      '/api/admin/conversations?projectId=p&userId=u&status=active',
      '/api/v1/admin/conversations?projectId=p&userId=u&status=active'
    ],
    ['GET', '/api/admin/conversations/analytics', '/api/v1/admin/conversations/analytics'],
    ['DELETE', '/api/admin/messages/m1', '/api/v1/admin/messages/m1'],
    ['GET', '/api/admin/conversations/c1/export', '/api/v1/admin/conversations/c1/export'],
    ['POST', '/api/admin/conversations/c1/participants', '/api/v1/admin/conversations/c1/participants'],
    ['GET', '/api/admin/messaging/conversations?q=x', '/api/v1/admin/conversations?q=x'],
    ['PATCH', '/api/admin/messaging/conversations/c1/status', '/api/v1/admin/conversations/c1/status'],
    ['GET', '/api/admin/messaging/conversations/c1/participants', '/api/v1/admin/conversations/c1/participants'],
    ['GET', '/api/messaging/conversations', '/api/v1/conversations'],
    ['POST', '/api/messaging/conversations/c1/read', '/api/v1/conversations/c1/read'],
    ['GET', '/api/projects/p1/conversations', '/api/v1/projects/p1/conversations'],
    ['GET', '/api/conversations', '/api/v1/conversations'],
    ['GET', '/api/dashboard/stats?period=week', '/api/v1/dashboard/stats?period=week'],
    ['GET', '/api/ws?token=abc', '/api/v1/ws?token=abc'],
    ['GET', '/api/ws/health', '/api/v1/health/ready'],
    ['GET', '/api/conversations/health?x=1', '/api/v1/health/ready?x=1'],
    ['GET', '/api/v1/messages/conversations?page=1&page_size=50&archived=true', '/api/v1/conversations?page=1&page_size=50&archived=true'],
    ['PATCH', '/api/v1/messages/conversations/c1/read', '/api/v1/conversations/c1/read'],
    ['GET', '/api/v1/messages/conversations/c1/messages', '/api/v1/conversations/c1/messages'],
    ['PATCH', '/api/v1/messages/conversations/c1', '/api/v1/conversations/c1'],
    ['GET', '/api/v1/messages/conversations/c1?page=2', '/api/v1/messages/conversations/c1?page=2'],
    ['GET', '/api/messages/conversations/c1', '/api/v1/messages/conversations/c1'],
    ['GET', '/api/messages/m1', '/api/v1/messages/m1'],
    ['POST', '/api/messages', '/api/v1/messages']
  ]
  for (const [method, given, canonical] of rows) t.equal(canonicalUrl(method, given), canonical, `${method} ${given}`)
  t.end()
})

t.test('every call is found below /api and /api/messaging, and below /api/v1 as it is', t => {
  for (const { method, path } of routes.values()) {
    const canonical = `/api/v1${path}`
    t.equal(canonicalUrl(method, canonical), canonical, canonical)
    t.equal(canonicalUrl(method, `/api${path}`), canonical, `/api${path}`)
    t.equal(canonicalUrl(method, `/api/messaging${path}`), canonical, `/api/messaging${path}`)
  }
  t.end()
})

t.test('what is no path of a source design is left as it came', t => {
  const others = [
    '/',
    '*',
    '/api',
    '/api/',
    '/api?x=/api/me',
    '/api/v1',
    '/api/v1/',
    '/api/v1?/api/ws/health',
    '/api/v2/me',
    '/api/v1.0/me',
    '/api//me',
    '//api/me',
    '/api/./me',
    '/api/../me',
    '/api/..',
    '/api/%6de/x',
    '/api/%2e%2e/health/live',
    '/api/v%31/me',
    '/api/v1%2fme',
    '/api/me;x',
    '/api/me#x',
    '/api\\me',
    '/API/me',
    '/Api/v1/messages/conversations',
    '/api/v1/messages/conversationsx',
    '/api/v1/messages%2fconversations',
    '/api/v1//messages/conversations',
    '/apis/me',
    '/messages/conversations',
    '/health/live',
    'http://elsewhere/api/me',
    'elsewhere:443'
  ]
  for (const url of others) for (const method of ['GET', 'POST', undefined]) t.equal(canonicalUrl(method, url), url, url)
  t.end()
})

t.test('whatever is rewritten stands below /api/v1, with its query untouched', t => {
  const words = ['messaging', 'admin', 'messages', 'conversations', 'ws', 'health', 'v1', '..', '%2e%2e', '', 'c1', '$&', '$1']
  let rewritten = 0
  for (const a of words)
    for (const b of words)
      for (const c of words)
        for (const d of words) {
          const url = `/api/${a}/${b}/${c}/${d}?a=/api/ws/health&b=%00$&`
          const at = canonicalUrl('POST', url)
          if (at === url) continue
          rewritten++
          if (!at.startsWith('/api/v1/') || !at.endsWith('?a=/api/ws/health&b=%00$&')) t.fail(`${url} became ${at}`)
        }
  t.ok(rewritten > 1_000, `${rewritten} were rewritten`)
  t.end()
})

t.test('the specification lists the calls of the source designs as deprecated, each once', t => {
  // biome-ignore lint/suspicious/noExplicitAny: a document is walked, not known
  const { paths } = JSON.parse(JSON.stringify(openApi('1.2.3'))) as { paths: Record<string, any> }
  const listed = Object.entries(paths).filter(([path]) => path.startsWith('/api/'))
  t.equal(new Set(SOURCE_CALLS.map(call => call.join(' '))).size, SOURCE_CALLS.length)
  for (const [path, { servers, ...operations }] of listed) {
    t.same(servers, [{ url: '/' }], `${path} is no path below /api/v1`)
    for (const [method, { deprecated, summary, responses }] of Object.entries<Record<string, unknown>>(operations)) {
      t.ok(
        SOURCE_CALLS.some(call => call.join(' ') === `${method.toUpperCase()} ${path}`),
        `${method} ${path} is documented by a source`
      )
      t.equal(deprecated, true)
      const [, canonical] = /^Answers as \w+ (\S+) does/.exec(String(summary))!
      t.same(responses, paths[canonical!][method].responses, `${path} answers as ${canonical}`)
    }
  }
  const known = SOURCE_CALLS.filter(([method, path]) => routes.has(`${method} ${canonicalUrl(method, path).slice('/api/v1'.length)}`))
  t.equal(
    listed.reduce((count, [, item]) => count + Object.keys(item).length - 1, 0),
    known.length
  )
  t.ok(known.length >= 15, 'and there are many')
  t.equal(paths['/messages/conversations/{conversation_id}'].get.deprecated, true)
  t.end()
})
