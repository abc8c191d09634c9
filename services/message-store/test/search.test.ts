import { AddParticipant, type Message, RemoveParticipant, type ReplyOf, type RequestOf, SearchMessages } from '@parley/contracts'
import { Database } from '@parley/pg-kit'
import { failOnLeftovers, type Person, until } from '@parley/test-kit'
import t from 'tap'
import type { Tables } from '../src/db.ts'
import { findMessages } from '../src/search/find.ts'
import { Lanes } from '../src/search/lanes.ts'
import { parseQuery, toTsquery } from '../src/search/query.ts'
import { setup } from './setup.ts'

failOnLeftovers(t)

const { people, group, say, edit, remove, ask, database, sendAll, bus } = await setup(t)
const [ada, ben, cleo] = await people('Ada', 'Ben', 'Cleo')
const [stranger] = await people('Stranger')

type Query = RequestOf<typeof SearchMessages>['query']
type Found = ReplyOf<typeof SearchMessages>

const find = (who: Person, q: string, more: Omit<Query, 'q'> = {}): Promise<Found> => ask(SearchMessages, who, { query: { q, ...more } })
const contents = ({ results }: Found): string[] => results.map(({ message }) => message.content)
/** Resolves once all that was said in a conversation is in the index. */
const indexed = (id: string) =>
  until(
    async () =>
      (
        await database.query(
          'select 1 from messaging.conversations c join messaging.search_progress s on s.conversation_id = c.id and s.seq = c.last_seq where c.id = $1',
          [id]
        )
      ).length === 1,
    { what: 'everything is in the index', timeoutMs: 30_000 }
  )

/** What is said, with what finds it and what does not. */
const SCRIPTS: Record<string, { said: string; found: string[]; notFound: string[] }> = {
  English: {
    said: 'The committee was running late, naïve café planning as usual',
    found: ['run', 'RUNNING', 'runs', 'committ', 'cafe', 'CAFÉ', 'naive', 'usual late', 'planned', 'la'],
    notFound: ['un', 'ate', 'committees2', 'runway', 'l']
  },
  Korean: {
    said: '서울에서 새로운 회의실을 예약했습니다',
    found: ['서울', '회의', '예약', '회의실', '실을', '새로운 예약', '서울에서'.normalize('NFD'), '약', '서울까지', '회의실은'],
    notFound: ['부산', '부산에서', '서울역', '서에', '의예', '회실']
  },
  Japanese: {
    said: '東京タワーの会議はﾃﾞｻﾞｲﾝの話でした',
    found: ['東京', '会議', 'タワー', 'たわー', 'デザイン', '話', 'ﾀﾜｰ'],
    notFound: ['京都', '大阪', '議会']
  },
  Chinese: {
    said: '我们明天在北京开会讨论预算',
    found: ['北京', '开会', '预算', '明天 预算', '京', '讨论预算'],
    notFound: ['上海', '京北', '算预']
  },
  Arabic: {
    said: 'قَرَأْتُ الكِتَابَ في المدرسة مع أحمد، كتـــاب جميل',
    found: ['الكتاب', 'كتاب', 'كِتَاب', 'احمد', 'أحمد', 'إحمد', 'مدرسه', 'المدرسة', 'قرات', 'كتا'],
    notFound: ['تاب', 'جامعة']
  },
  Russian: {
    said: 'Ёлка стоит в Нижнем Новгороде, чай готов',
    found: ['елка', 'ЁЛКА', 'новгород', 'нижнем чай', 'Гото'],
    notFound: ['чаи', 'город']
  },
  Turkish: {
    said: 'İstanbul’da ışık çok güzel, Diyarbakır DA',
    found: ['istanbul', 'ISTANBUL', 'İSTANBUL', 'IŞIK', 'isik', 'guzel', 'diyarbakir', 'DİYARBAKIR'],
    notFound: ['ankara']
  },
  German: {
    said: 'Die Krankenversicherung in der Münchner Straße heißt MÜLLER',
    found: ['müller', 'mueller', 'Muller', 'strasse', 'STRAẞE', 'versicherung', 'kranken', 'muenchner', 'heisst'],
    notFound: ['sicher!!ung', 'meller', 'raße']
  },
  Thai: { said: 'พรุ่งนี้ประชุมที่กรุงเทพมหานคร', found: ['ประชุม', 'กรุงเทพ', 'พรุ่งนี้'], notFound: ['เชียงใหม่', 'ชุมประ'] },
  'signs and numbers': {
    said: 'ticket PAR-1042 🎉 costs 99.50 €, mail ada@example.com',
    found: ['1042', 'par-1042', '🎉', '99.50', 'example.com', '٩٩'],
    notFound: ['🎂', '042']
  }
}

t.test('messages are found in every script, by words and by parts of them', async t => {
  const { id } = await group(ada, ben)
  for (const { said } of Object.values(SCRIPTS)) await say(ben, id, said)
  await indexed(id)
  for (const [script, { said, found, notFound }] of Object.entries(SCRIPTS)) {
    for (const q of found) t.ok(contents(await find(ada, q, { conversation_id: id })).includes(said), `${script}: ${q} finds it`)
    for (const q of notFound) t.notOk(contents(await find(ada, q, { conversation_id: id })).includes(said), `${script}: ${q} does not`)
  }
})

t.test('several words are all wanted, quoted ones stand one after the other, and nothing else is an operator', async t => {
  const { id } = await group(ada, ben)
  for (const text of [
    'red green blue',
    'green red',
    'blue green',
    "it's a <b>test</b> & more | less",
    '부산 서울 여행을 갑니다',
    '여행 서울'
  ])
    await say(ada, id, text)
  await indexed(id)
  const inIt = async (q: string) => contents(await find(ada, q, { conversation_id: id }))

  t.same(await inIt('green red'), ['green red', 'red green blue'])
  t.same(await inIt('"green red"'), ['green red'])
  t.same(await inIt('"red, green"'), ['red green blue'], 'what stands between words does not matter')
  t.same(await inIt('"gree"'), [], 'a quoted word is the word')
  t.same(await inIt('“green” blue'), ['blue green', 'red green blue'])
  t.same(await inIt('"서울 여행"'), ['부산 서울 여행을 갑니다'])
  t.same(await inIt('"산 서울 여'), ['부산 서울 여행을 갑니다'], 'a quotation mark that is alone is none')
  t.same(await inIt('test & more'), ["it's a <b>test</b> & more | less"])
  for (const q of ['&', '!!!', '\\', "'", "''", ':*', '%', '(', '<->', '"', '""', '—']) t.same(await inIt(q), [], `${q} finds nothing`)
})

t.test('highlights are pieces of the text with ranges in UTF-16 units, around what was found', async t => {
  const { id } = await group(ada, ben)
  const long = `${'padding '.repeat(40)}first needle${' filler'.repeat(40)} 🎉👩‍👩‍👧 Nèedles <i>end</i>`
  await say(ben, id, '😀 Straßenfest <b>am</b> straße')
  await say(ben, id, long)
  await indexed(id)

  const [street] = (await find(ada, 'strasse', { conversation_id: id })).results
  t.same(street!.highlights, [
    {
      text: '😀 Straßenfest <b>am</b> straße',
      ranges: [
        [3, 9],
        [25, 31]
      ]
    }
  ])
  t.equal(street!.rank, 1)
  t.equal(street!.message.is_mine, false)

  const [needle] = (await find(ada, 'needle', { conversation_id: id })).results
  t.equal(needle!.highlights.length, 2)
  for (const { text, ranges } of needle!.highlights) {
    t.ok(long.includes(text) && text.isWellFormed(), 'a piece of what was written')
    t.same(
      ranges.map(([from, to]) => text.slice(from, to).normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().slice(0, 6)),
      ['needle']
    )
    t.ok(text.length <= 260)
  }
  const ranks = []
  for (const q of ['needle', 'needl']) ranks.push((await find(ada, q, { conversation_id: id })).results[0]!.rank)
  t.ok(ranks[0]! > ranks[1]!, 'a whole word ranks above the beginning of one')
})

t.test('pages are newest first, go on from where the last one ended, and stay what they are while others write', async t => {
  const { id } = await group(ada, ben)
  const lines = await sendAll(
    Array.from({ length: 45 }, (_, n) => ({ user_id: ada.id, org_id: ada.org_id, conversation_id: id, content: `apple number ${n + 1}` }))
  )
  t.ok(lines.every(line => line.message))
  await indexed(id)
  const seen: number[] = []
  let before: string | undefined
  for (let page = 0; page < 5; page++) {
    const answer = await find(ben, 'appl', { conversation_id: id, limit: 10, ...(before && { before }) })
    seen.push(...answer.results.map(({ message }) => message.seq))
    t.equal(answer.has_more, page < 4)
    t.equal(answer.next_before, page < 4 ? answer.results.at(-1)!.message.id : null)
    before = answer.next_before ?? undefined
    if (page === 0) await say(ada, id, 'one more apple')
    if (page === 1) await remove(ada, answer.results.at(-1)!.message)
  }
  const first = seen[0]!
  t.same(
    seen,
    Array.from({ length: 45 }, (_, n) => first - n)
  )
})

t.test('what nearly everyone says is looked for on the text alone, where anything else narrows a search down', t => {
  const common = new Set(['the', '的', '개월'])
  const conditions = (q: string, filters = {}) => toTsquery(parseQuery(q), filters, common)
  t.equal(conditions('"the reactor"'), "'reactor'")
  t.equal(conditions('the reactor'), conditions('reactor'))
  t.equal(conditions('的 预算'), conditions('预算'))
  t.equal(conditions('삼개월'), "'삼개'", 'signs that stand together are looked for by what is rare of them')
  t.equal(conditions('"the the"'), "'the'", 'where nothing else is asked for it is looked for all the same')
  t.not(conditions('the'), '')
  t.equal(conditions('"the reactor"', { has: 'attachment' }), "'reactor' & '!file'")
  t.end()
})

t.test('a phrase of words that everyone says is found wherever they follow each other, each once, page by page', async t => {
  const { id } = await group(ada, ben)
  // The last of each ten says it; an hour has six of them, but for the newest hundred, which are of one hour.
  const count = 600
  const all = Array.from({ length: count }, (_, n) => ({
    user_id: ada.id,
    org_id: ada.org_id,
    conversation_id: id,
    content: n % 10 === 9 ? `fig date ${n}` : `date fig ${n}`
  }))
  for (const sends of [all.slice(0, count / 2), all.slice(count / 2)]) t.ok((await sendAll(sends)).every(line => line.message))
  await indexed(id)
  await database.query(
    `update messaging.messages set id = uuidv7(- greatest(0, $2 - 100 - seq) * interval '10 min' - ($2 - seq) * interval '30 s') where conversation_id = $1 and seq > 0`,
    [id, count]
  )
  await database.query(`update messaging.conversations set created_at = created_at - interval '400 days' where id = $1`, [id])
  await database.query('delete from messaging.message_search where conversation_id = $1', [id])
  await database.query('delete from messaging.search_progress where conversation_id = $1', [id])
  await say(ada, id, 'date of a fig')
  await indexed(id)
  const expected = Array.from({ length: count / 10 }, (_, n) => `fig date ${count - 1 - 10 * n}`)
  for (const scope of [{ conversation_id: id }, {}]) {
    for (const limit of [7, 60]) {
      const seen: string[] = []
      let before: string | undefined
      do {
        const page = await find(ben, '"fig date"', { limit, ...scope, ...(before !== undefined && { before }) })
        t.ok(page.results.length === limit || !page.has_more, 'a page is full, or the last one')
        seen.push(...contents(page))
        before = page.next_before ?? undefined
      } while (before !== undefined && seen.length <= count)
      t.same(seen, expected)
    }
  }
})

t.test('a cursor that is no result of that search is refused', async t => {
  const [{ id }, other] = [await group(ada, ben), await group(ada, cleo)]
  const [mine, theirs] = [await say(ada, id, 'pear'), await say(ada, other.id, 'pear')]
  const foreign = await say(stranger, (await group(stranger)).id, 'pear')
  await Promise.all([indexed(id), indexed(other.id)])
  const at = (who: Person, before: string, conversation_id?: string) =>
    find(who, 'pear', { before, ...(conversation_id && { conversation_id }) })
  t.same(contents(await at(ben, mine.id, id)), [])
  for (const [who, message, conversation_id] of [
    [ada, theirs, id],
    [ben, theirs, undefined],
    [ada, foreign, undefined],
    [ada, { id: crypto.randomUUID() }, undefined]
  ] as const) {
    await t.rejects(at(who, message.id, conversation_id), { code: 'invalid_cursor' })
  }
})

t.test('only one’s own conversations are searched, and of them what was said while one was there', async t => {
  const { id } = await group(ada, ben)
  const alone = await group(ada)
  await say(ada, id, 'walnut before')
  await say(ada, alone.id, 'walnut alone')
  await ask(AddParticipant, ada, { conversation_id: id, user_id: cleo.id })
  await say(ada, id, 'walnut while Cleo is in')
  await ask(RemoveParticipant, ada, { conversation_id: id, user_id: cleo.id })
  await say(ada, id, 'walnut while Cleo is out')
  await Promise.all([indexed(id), indexed(alone.id)])

  t.same(contents(await find(cleo, 'walnut')), [])
  await t.rejects(find(cleo, 'walnut', { conversation_id: id }), { code: 'not_a_participant' })
  await t.rejects(find(stranger, 'walnut', { conversation_id: id }), { code: 'conversation_not_found' })
  t.same(contents(await find(stranger, 'walnut')), [])
  t.same(contents(await find(ben, 'walnut')), ['walnut while Cleo is out', 'walnut while Cleo is in', 'walnut before'])
  t.equal((await find(ada, 'walnut')).results.length, 4)

  await ask(AddParticipant, ada, { conversation_id: id, user_id: cleo.id })
  await say(ada, id, 'walnut again')
  await indexed(id)
  t.same(contents(await find(cleo, 'walnut')), ['walnut again', 'walnut while Cleo is in'])
  t.same(contents(await find(cleo, 'walnut', { conversation_id: id })), ['walnut again', 'walnut while Cleo is in'])
  // The same id in another organization is another person.
  t.same(contents(await find({ ...ada, org_id: stranger.org_id }, 'walnut')), [])
})

t.test('an edit is found by what it says now, at once; what was deleted and what the system tells is never found', async t => {
  const { id } = await group(ada, ben)
  const message = await say(ada, id, 'mango smoothie')
  await indexed(id)
  await edit(ada, message, 'papaya smoothie')
  t.same(contents(await find(ben, 'mango')), [])
  t.same(contents(await find(ben, 'papaya')), ['papaya smoothie'])
  await remove(ada, message)
  for (const q of ['mango', 'papaya', 'smoothie']) t.same(contents(await find(ben, q)), [])

  const [fresh, gone] = [await say(ada, id, 'dragonfruit'), await say(ada, id, 'dragonfruit too')]
  await Promise.all([edit(ada, fresh, 'lychee'), remove(ada, gone)])
  await indexed(id)
  t.same(contents(await find(ben, 'dragonfruit')), [], 'also where the worker came after it')
  t.same(contents(await find(ben, 'lychee')), ['lychee'])

  await ask(AddParticipant, ada, { conversation_id: id, user_id: cleo.id })
  const [system] = await database.query<{ content: string }>(
    "select content from messaging.messages where conversation_id = $1 and content_type = 'system'",
    [id]
  )
  await indexed(id)
  t.same(contents(await find(ada, system!.content.split(' ').at(-1)!, { conversation_id: id })), [])
})

t.test('a search can be narrowed to a sender, a time and what carries files', async t => {
  const { id } = await group(ada, ben)
  const said: Message[] = []
  for (const [who, text, more] of [
    [ada, 'cherry one', {}],
    [ben, 'cherry two', { content_type: 'image' }],
    [ada, 'cherry three', { content_type: 'file' }]
  ] as const) {
    said.push(await say(who, id, text, more))
    await until(() => Date.now() > Date.parse(said.at(-1)!.created_at) + 5)
  }
  await indexed(id)
  const inIt = async (more: Omit<Query, 'q'>) => contents(await find(ada, 'cherry', { conversation_id: id, ...more }))
  t.same(await inIt({ sender_id: ben.id }), ['cherry two'])
  t.same(await inIt({ has: 'attachment' }), ['cherry three', 'cherry two'])
  t.same(await inIt({ from: said[1]!.created_at }), ['cherry three', 'cherry two'], 'both ends are included')
  t.same(await inIt({ to: said[1]!.created_at }), ['cherry two', 'cherry one'])
  t.same(await inIt({ from: said[1]!.created_at, to: said[1]!.created_at }), ['cherry two'])
  t.same(await inIt({ from: '2020-01-01T00:00:00Z', to: '2021-01-01T00:00:00+02:00' }), [])
  t.same(await inIt({ from: said[2]!.created_at, to: said[0]!.created_at }), [])
  t.same(await inIt({ sender_id: ada.id, has: 'attachment' }), ['cherry three'])
})

t.test('a query that is blank, too long or no text is refused', async t => {
  for (const q of ['', '   ', '\t\n', 'x'.repeat(201), '😀'.repeat(201)])
    await t.rejects(find(ada, q), { code: 'invalid_request' }, JSON.stringify(q).slice(0, 20))
  for (const q of ['a\u0000b', 'a\ud800']) await t.rejects(find(ada, q), { code: 'invalid_text' })
  await t.resolves(find(ada, '😀'.repeat(200)))
  for (const limit of [0, -1, 101, 1.5]) await t.rejects(find(ada, 'x', { limit }), { code: 'invalid_request' })
  t.ok(bus.isConnected)
})

t.test('a search that runs out of time says where to go on, and nothing is left out or found twice', async t => {
  const { id } = await group(ada, ben)
  const said: string[] = []
  // Over hours, so that a window of time has one or none.
  for (let n = 1; n <= 12; n++) said.push((await say(ada, id, n % 4 === 0 ? 'kumquat' : `kumquat ${n}`)).id)
  await database.query(
    `update messaging.messages m set created_at = m.created_at - seq * interval '40 min', id = uuidv7(- seq * interval '40 min') where conversation_id = $1 and content_type <> 'system'`,
    [id]
  )
  await database.query(`update messaging.conversations set created_at = created_at - interval '1 year' where id = $1`, [id])
  await database.query('delete from messaging.message_search where conversation_id = $1', [id])
  await database.query('delete from messaging.search_progress where conversation_id = $1', [id])
  await say(ada, id, 'kumquat last')
  await indexed(id)
  const app = new Database<Tables>({
    url: database.url,
    max: 1,
    schema: 'messaging',
    role: 'parley_app',
    application: 'test',
    onError: () => {}
  })
  t.teardown(() => app.close())
  const step = (before: string | undefined) =>
    app.asUser({ user_id: ben.id, org_id: ben.org_id }, db =>
      findMessages(db, {
        user_id: ben.id,
        conversation_id: id,
        terms: parseQuery('kumquat'),
        query: { q: 'kumquat', ...(before !== undefined && { before }) },
        limit: 5,
        maxBytes: 500_000,
        budgetMs: 0
      })
    )
  const seqs: number[] = []
  let empty = 0
  let steps = 0
  let before: string | undefined
  do {
    const { results, has_more, next_before } = await step(before)
    t.equal(has_more, next_before !== null)
    seqs.push(...results.map(({ message }) => message.seq))
    if (results.length === 0) empty++
    before = next_before ?? undefined
    steps++
  } while (before !== undefined && steps < 100)
  t.same(seqs, [13, ...Array.from({ length: 12 }, (_, n) => n + 1)], 'newest first, each once')
  t.ok(empty > 0, `${empty} of ${steps} answers had nothing yet, and said so`)
})

t.test('who is in hundreds of conversations finds what was said in any of them, and in no other', async t => {
  const [busy] = await people('Busy')
  await database.query(
    `with c as (
       insert into messaging.conversations (id, org_id, type, created_by, created_at, updated_at, participant_count)
       select gen_random_uuid(), $1, 'group', $2, now(), now(), 1 from generate_series(1, 150) returning id
     ) insert into messaging.participants (conversation_id, user_id, org_id, joined_at) select id, $2, $1, now() from c`,
    [busy.org_id, busy.id]
  )
  const ids = await database.query<{ conversation_id: string }>('select conversation_id from messaging.participants where user_id = $1', [
    busy.id
  ])
  for (const { conversation_id } of ids.slice(0, 3)) await say(busy, conversation_id, 'rambutan')
  const [other] = await people('Other')
  const theirs = await group(other)
  await say(other, theirs.id, 'rambutan of others')
  await Promise.all([theirs.id, ...ids.slice(0, 3).map(row => row.conversation_id)].map(indexed))
  t.same(contents(await find(busy, 'rambutan')), ['rambutan', 'rambutan', 'rambutan'])
  t.same(contents(await find({ ...other, org_id: busy.org_id, id: other.id }, 'rambutan')), [])
})

t.test('of searches that come all at once three are done at a time, and the rest waits for them', async t => {
  const lanes = new Lanes(3, 2)
  let running = 0
  let most = 0
  const release: (() => void)[] = []
  const work = async () => {
    most = Math.max(most, ++running)
    await new Promise<void>(done => release.push(done))
    running--
  }
  const all = Array.from({ length: 6 }, () => lanes.run(work))
  await t.rejects(all[5]!, { code: 'unavailable' }, 'but not without end')
  while (release.length > 0) {
    release.shift()!()
    await new Promise(resolve => setImmediate(resolve))
  }
  await Promise.all(all.slice(0, 5))
  t.equal(most, 3)
})
