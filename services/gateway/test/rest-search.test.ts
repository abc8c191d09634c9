import { ROUTES } from '@parley/contracts'
import { colleagues, failOnLeftovers, person, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { stores: 2 })
const [ada, ben] = colleagues('Ada', 'Ben')
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, stranger)
const asAda = platform.client(ada)
const asBen = platform.client(ben)

/** What a search finds, once it finds as many messages as it has to. */
const found = async (path: string, count: number) =>
  until(
    async () => {
      const answer = await asBen.get(path)
      return answer.body.results?.length === count ? answer : undefined
    },
    { what: `${path} finds ${count}`, timeoutMs: 30_000 }
  )

t.test('what was sent a moment ago is found in its conversation and in all, as the person who asks sees it', async t => {
  const id = await group(platform, ada, ben)
  const sent = await asAda.post(`/conversations/${id}/messages`, { content: 'Treffen am <b>Brandenburger</b> Tor, 서울에서' })
  const answer = await found(`/conversations/${id}/search?q=brandenb`, 1)
  fits(t, answer, 200, ROUTES.searchConversation.replies[200])
  t.match(answer.body, {
    results: [
      {
        message: { id: sent.body.id, is_mine: false, is_read: false, read_by: [] },
        highlights: [{ text: 'Treffen am <b>Brandenburger</b> Tor, 서울에서', ranges: [[14, 22]] }]
      }
    ],
    has_more: false,
    next_before: null
  })
  const everywhere = await asBen.get(`/search?q=${encodeURIComponent('서울')}`)
  fits(t, everywhere, 200, ROUTES.search.replies[200])
  t.equal(everywhere.body.results[0].message.id, sent.body.id)
  t.equal((await asBen.get(`/search?q=tor&conversation_id=${id.toUpperCase()}`)).body.results.length, 1)
  t.same((await platform.client(stranger).get('/search?q=tor')).body, { results: [], has_more: false, next_before: null })
})

t.test('two stores fill one index: everything that was said is found once', async t => {
  const id = await group(platform, ada, ben)
  await Promise.all(Array.from({ length: 60 }, (_, n) => asAda.post(`/conversations/${id}/messages`, { content: `grapefruit ${n}` })))
  const all = await found(`/conversations/${id}/search?q=grapefruit&limit=100`, 60)
  t.equal(new Set(all.body.results.map(({ message }: { message: { id: string } }) => message.id)).size, 60)
})

t.test('a search that asks for nothing, too much or something else is refused', async t => {
  const id = await group(platform, ada, ben)
  const alone = await group(platform, ada)
  const { body: message } = await asAda.post(`/conversations/${alone}/messages`, { content: 'elsewhere' })
  for (const base of [`/conversations/${id}/search`, '/search']) {
    for (const query of [
      '',
      '?q=',
      '?q=%20%20',
      `?q=${'x'.repeat(201)}`,
      '?q=a&q=b',
      '?q=a&limit=0',
      '?q=a&limit=101',
      '?q=a&limit=ten',
      '?q=a&from=yesterday',
      '?q=a&has=links',
      '?q=a&sender_id=ada'
    ]) {
      isProblem(t, await asBen.get(base + query), 400, 'invalid_request', base + query.slice(0, 30))
    }
    for (const query of ['?q=a%00b', '?q=%00']) isProblem(t, await asBen.get(base + query), 400, 'invalid_text', query)
    for (const before of ['x', '17', ada.id, message.id])
      isProblem(t, await asBen.get(`${base}?q=a&before=${before}`), 400, 'invalid_cursor', before)
    isProblem(t, await asBen.get(`${base}?q=a&page=2`), 400, 'unknown_field')
    for (const q of ['&|!<->:*', "');drop table messages;--", '%_\\', '((((', `${'"'.repeat(99)}`]) {
      t.equal((await asBen.get(`${base}?q=${encodeURIComponent(q)}`)).status, 200, `${q} is text`)
    }
  }
  isProblem(t, await asBen.get(`/conversations/${alone}/search?q=elsewhere`), 403, 'not_a_participant')
  isProblem(t, await platform.client(stranger).get(`/conversations/${id}/search?q=x`), 404, 'conversation_not_found')
  isProblem(t, await asBen.get('/conversations/17/search?q=x'), 400, 'invalid_id')
})
