import { until } from '@parley/test-kit'
import type { Page } from 'playwright-core'
import t from 'tap'
import { faultsOf, startWeb } from '../src/index.ts'

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
const WIDE = { viewport: { width: 1440, height: 900 } }

t.test('what is said in reply to a message', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown', 'Cleo Clark')
  const [ada, ben, cleo] = people
  const [asAda, asBen, asCleo] = [platform.client(ada), platform.client(ben), platform.client(cleo)]
  const { body: group } = await asAda.post('/conversations', { type: 'group', title: 'Picnic', participant_ids: [ben.id, cleo.id] })
  const path = `/messages/${group.id}`
  const post = async (as: typeof asAda, content: string, reply_to_id?: string) =>
    (await as.post(`/conversations/${group.id}/messages`, { content, ...(reply_to_id && { reply_to_id }) })).body
  const question = await post(asAda, 'Where shall we meet?')
  const panelOf = (page: Page, name = 'Replies') => page.getByRole('complementary', { name })
  /** The texts of the replies that are drawn in a panel, without the message that they answer. */
  const repliesIn = async (page: Page) => (await panelOf(page).locator('article .message-text').allInnerTexts()).slice(1)
  const a = await open(ada, { ...WIDE, path })
  const b = await open(ben, { ...WIDE, path })
  const countAt = (page: Page, text: string) =>
    page
      .getByRole('main')
      .getByRole('article')
      .filter({ hasText: text })
      .getByRole('button', { name: /^\d+ repl/ })
  await b.message('Where shall we meet?').waitFor()

  await t.test('is counted under it as it comes, and opens beside the conversation', async t => {
    t.equal(await countAt(b.page, 'Where shall').count(), 0)
    await post(asCleo, 'At the lake', question.id)
    await countAt(b.page, 'Where shall').and(b.page.getByText('1 reply')).waitFor()

    await countAt(b.page, 'Where shall').click()
    await panelOf(b.page).getByRole('article').filter({ hasText: 'At the lake' }).waitFor()
    await panelOf(b.page).getByRole('article').filter({ hasText: 'Where shall we meet?' }).waitFor()
    t.equal(
      await panelOf(b.page)
        .getByRole('button', { name: /In reply to/ })
        .count(),
      0,
      'what they answer stands above'
    )
    t.same(await faultsOf(b.page), [])
    t.ok(await b.message('At the lake').first().isVisible(), 'the conversation stays beside it')
  })

  await t.test('is written there, and everyone who has it open sees it come', async t => {
    await countAt(a.page, 'Where shall').click()
    const field = panelOf(b.page).getByRole('textbox', { name: 'Reply here' })
    await field.fill('By the old oak')
    await field.press('Enter')

    await until(async () => (await repliesIn(a.page)).join() === 'At the lake,By the old oak')
    t.same(await repliesIn(b.page), ['At the lake', 'By the old oak'])
    await countAt(a.page, 'Where shall').and(a.page.getByText('2 replies')).waitFor()
    await panelOf(a.page).getByText('2 replies').waitFor()
    t.equal((await asAda.get(`/messages/${question.id}/replies`)).body.messages[1].content, 'By the old oak')
    await post(asCleo, 'Something else')
    await a.message('Something else').waitFor()
    t.equal((await repliesIn(a.page)).length, 2, 'what replies to nothing is not among them')
  })

  await t.test('is edited and deleted there as in the conversation, and counted then', async t => {
    const reply = panelOf(b.page)
      .getByRole('article')
      .filter({ hasText: /By the \w+ oak/ })
    const field = panelOf(b.page).getByRole('form').getByRole('textbox')
    await field.press('ArrowUp')
    await until(async () => (await field.inputValue()) === 'By the old oak')
    await field.fill('By the young oak')
    await field.press('Enter')
    await until(async () => (await repliesIn(a.page)).join() === 'At the lake,By the young oak')

    await reply.hover()
    await reply.getByRole('button', { name: 'More for this message' }).click()
    await b.page.getByRole('menuitem', { name: 'Delete' }).click()
    await b.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await until(async () => (await repliesIn(a.page)).join() === 'At the lake')
    await countAt(a.page, 'Where shall').and(a.page.getByText('1 reply')).waitFor()
    t.equal(await reply.count(), 0)
  })

  await t.test('has a draft of its own, an address, and a way back by the keyboard', async t => {
    const field = panelOf(b.page).getByRole('textbox', { name: 'Reply here' })
    await field.fill('Half a reply')
    await b.page.getByRole('main').getByRole('form').getByRole('textbox').fill('Half a message')
    await until(() => b.page.evaluate(`Object.values(localStorage).join().includes('Half a reply')`))
    await b.page.reload()
    await until(async () => (await field.inputValue()) === 'Half a reply', { what: 'the address opens it again, with the draft' })
    t.equal(await b.page.getByRole('main').getByRole('form').getByRole('textbox').inputValue(), 'Half a message')

    await field.press('Escape')
    await panelOf(b.page).waitFor({ state: 'detached' })
    await b.page.getByRole('main').getByRole('article').filter({ hasText: 'Where shall' }).first().focus()
    await b.page.keyboard.press('t')
    await panelOf(b.page).getByRole('article').filter({ hasText: 'At the lake' }).waitFor()
  })

  await t.test('comes page by page from the first, and what is written meanwhile stands at the end', async t => {
    const long = await post(asAda, 'Count to a hundred and ten')
    for (let n = 1; n <= 110; n++) await post(asCleo, `number ${n}.`, long.id)
    await asBen.post(`/conversations/${group.id}/read`, {})
    const w = await open(ben, { ...WIDE, path: `${path}?panel=replies&of=${long.id}` })
    const reply = (text: string) => panelOf(w.page).getByRole('article').filter({ hasText: text })
    await reply('number 1.').waitFor()
    await panelOf(w.page).getByText('110 replies').waitFor()
    t.equal(await reply('number 110.').count(), 0)

    await panelOf(w.page).getByRole('textbox', { name: 'Reply here' }).fill('Done')
    await panelOf(w.page).getByRole('textbox', { name: 'Reply here' }).press('Enter')
    await reply('Done').waitFor()
    await reply('number 110.').waitFor()
    const texts = await repliesIn(w.page)
    t.same(texts.slice(-2), ['number 110.', 'Done'])
    t.ok(texts.length < 100, 'only what is near the view is drawn')
  })

  await t.test('stays to be read when its message is deleted', async t => {
    await asAda.delete(`/messages/${question.id}`)
    await panelOf(b.page).getByText('This message was deleted', { exact: true }).waitFor()
    await panelOf(b.page).getByText('This message was deleted. What was said in reply stays.').waitFor()
    t.same(await repliesIn(b.page), [], 'the deleted one has no text, and the only text is that of the reply')
    t.equal(await panelOf(b.page).getByRole('article').filter({ hasText: 'At the lake' }).count(), 1)
    t.equal(await panelOf(b.page).getByRole('textbox').count(), 0)
  })

  await t.test('fills a phone, in Arabic and in dark colours, and the way back leads to the conversation', async t => {
    const tea = await post(asAda, 'Tea or coffee?')
    await post(asBen, 'شاي من فضلك', tea.id)
    await post(asCleo, 'Coffee', tea.id)
    const phone = await open(cleo, { ...PHONE, path, locale: 'ar-EG', colorScheme: 'dark' })
    await phone.page.getByRole('button', { name: 'ردّان' }).tap()
    const panel = phone.page.getByRole('main', { name: 'الردود' })
    await panel.getByRole('article').filter({ hasText: 'شاي من فضلك' }).waitFor()
    t.same(await faultsOf(phone.page), [])
    t.equal(await phone.page.evaluate('document.documentElement.scrollWidth'), 390)
    const field = panel.getByRole('textbox', { name: 'اكتب ردًّا هنا' })
    await field.fill('أو ماء')
    await panel.getByRole('button', { name: 'إرسال' }).tap()
    await panel.getByRole('article').filter({ hasText: 'أو ماء' }).waitFor()

    await phone.page.goBack()
    await panel.waitFor({ state: 'detached' })
    await phone.page
      .getByRole('button', { name: '3 ردود' })
      .or(phone.page.getByRole('button', { name: '٣ ردود' }))
      .waitFor()
  })
})
