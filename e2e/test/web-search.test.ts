import { until } from '@parley/test-kit'
import t from 'tap'
import { faultsOf, startWeb } from '../src/index.ts'

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
const WIDE = { viewport: { width: 1440, height: 900 } }

t.test('search', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown', '김민준')
  const [ada, ben, minjun] = people
  const asBen = platform.client(ben)
  const { body: direct } = await asBen.post(`/conversations/dm/${ada.id}`)
  const { body: group } = await asBen.post('/conversations', { type: 'group', title: 'Garden', participant_ids: [ada.id, minjun.id] })
  const say = (id: string, content: string) => asBen.post(`/conversations/${id}/messages`, { content })
  await say(direct.id, 'The apple trees <b>bloom</b> early')
  for (let n = 1; n <= 130; n++) await say(direct.id, `line ${n}.`)
  await say(group.id, 'Who planted the apples?')
  await say(group.id, '사과나무가 참 예쁘다')
  await platform.client(ada).post(`/conversations/${direct.id}/read`, {})
  const found = async (q: string) => (await asBen.get(`/search?q=${encodeURIComponent(q)}`)).body.results.length
  await until(async () => (await found('apple')) === 2 && (await found('사과')) === 1, { timeoutMs: 20_000, what: 'all is indexed' })

  await t.test('Ctrl+F searches in the conversation, marks what was found, and leads to it in its place', async t => {
    const a = await open(ada, { ...WIDE, path: `/messages/${direct.id}` })
    await a.message('line 130.').waitFor()
    await a.composer.focus()
    await a.page.keyboard.press('Control+f')
    const field = a.page.getByRole('searchbox', { name: 'Words to find' })
    await field.and(a.page.locator(':focus')).waitFor()

    await field.fill('APPLE')

    const panel = a.page.getByRole('complementary', { name: 'Search messages' })
    await panel.getByRole('link', { name: /Ben Brown.*bloom/ }).waitFor()
    t.same(await panel.locator('mark').allInnerTexts(), ['apple'])
    t.match(await panel.locator('.hit-text').textContent(), '<b>bloom</b>', 'markup stays text')
    await panel.getByRole('status').getByText('1 result').waitFor({ state: 'attached' })
    t.same(await faultsOf(a.page), [])

    await field.press('ArrowDown')
    await a.page.keyboard.press('Enter')
    await a.message('The apple trees').and(a.page.locator(':focus')).waitFor()
    const middle = await a.message('The apple trees').evaluate((element: { getBoundingClientRect(): { y: number } }) => {
      return element.getBoundingClientRect().y
    })
    t.ok(middle > 60 && middle < 840, `it is in view, at ${middle}`)
    t.ok(await panel.isVisible(), 'the results stay beside it')
  })

  await t.test('a search in all conversations leads into another one, and back again', async t => {
    const a = await open(ada, { ...WIDE, path: `/messages/${direct.id}` })
    await a.message('line 130.').waitFor()
    await a.page.getByRole('button', { name: 'Search messages' }).click()
    await a.page.getByRole('searchbox', { name: 'Words to find' }).fill('apple')
    const panel = a.page.getByRole('complementary', { name: 'Search messages' })
    await until(async () => (await panel.getByRole('listitem').count()) === 2)
    t.same(await panel.locator('.hit-place').allInnerTexts(), ['Garden', 'Ben Brown'], 'the newest first, with where it was said')

    await panel.getByRole('link', { name: /Who planted/ }).click()
    await a.page.getByRole('heading', { name: 'Garden' }).waitFor()
    await a.message('Who planted').and(a.page.locator(':focus')).waitFor()
    await a.page.goBack()
    await a.page.getByRole('heading', { name: 'Ben Brown' }).waitFor()
    t.equal(await panel.getByRole('listitem').count(), 2)
    await panel.getByText('This conversation').click()
    await until(async () => (await panel.getByRole('listitem').count()) === 1)
  })

  await t.test('half a Korean word is not asked for, one syllable is; nothing found and a failure are told', async t => {
    const m = await open(minjun, { ...WIDE, locale: 'ko-KR', path: `/messages/${group.id}` })
    await m.message('사과나무가').waitFor()
    const asked: string[] = []
    let refuse = false
    await m.page.route('**/api/v1/search?**', async route => {
      asked.push(new URL(route.request().url()).searchParams.get('q')!)
      if (refuse) await route.fulfill({ status: 503, json: { code: 'unavailable', detail: 'away' } })
      else await route.continue()
    })
    await m.page.keyboard.press('Control+f')
    const panel = m.page.getByRole('complementary', { name: '메시지 검색' })
    const field = panel.getByRole('searchbox')
    const keyboard = await m.page.context().newCDPSession(m.page)
    await field.and(m.page.locator(':focus')).waitFor()
    await keyboard.send('Input.imeSetComposition', { text: '삭', selectionStart: 1, selectionEnd: 1 })
    // Longer than the pause after which a finished word is asked for.
    await m.page.waitForTimeout(600)
    t.same(asked, [], 'nothing is asked while the word is being made')
    await keyboard.send('Input.insertText', { text: '사' })
    await panel.getByRole('link', { name: /사과나무가/ }).waitFor()
    t.same(asked, ['사'])

    await field.fill('없는말')
    await panel.getByText('“없는말”에 해당하는 메시지가 없습니다.').and(m.page.locator('.panel-note')).waitFor()
    refuse = true
    await field.fill('사과')
    await panel.getByRole('alert').getByText('검색하지 못했습니다.').waitFor()
    refuse = false
    await panel.getByRole('button', { name: '다시 시도' }).click()
    await panel.getByRole('link', { name: /사과나무가/ }).waitFor()
    t.same(await panel.locator('mark').allInnerTexts(), ['사과'])
  })

  await t.test('on a phone the results make way for the message, and the way back has them again', async t => {
    const a = await open(ada, { ...PHONE, colorScheme: 'dark' })
    await a.conversation(/^Ben Brown/).tap()
    await a.message('line 130.').waitFor()
    await a.page.getByRole('button', { name: 'Search in this conversation' }).tap()
    await a.page.getByRole('searchbox', { name: 'Words to find' }).fill('apple')
    const result = a.page.getByRole('link', { name: /Ben Brown.*bloom/ })
    await result.waitFor()
    t.same(await faultsOf(a.page), [])
    t.equal(await a.page.evaluate('document.documentElement.scrollWidth'), 390)

    await result.tap()
    await a.message('The apple trees').and(a.page.locator(':focus')).waitFor()
    t.notOk(await result.isVisible())
    await a.page.goBack()
    await result.waitFor()
    await a.page.goBack()
    await a.composer.waitFor()
    await a.page.goBack()
    await a.conversation(/^Ben Brown/).waitFor()
  })
})
