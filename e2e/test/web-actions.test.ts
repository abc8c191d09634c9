import { until } from '@parley/test-kit'
import type { Page } from 'playwright-core'
import t from 'tap'
import { faultsOf, startWeb, textsIn } from '../src/index.ts'

t.test('what people do with messages and conversations', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown', 'Cleo Clark')
  const [ada, ben, cleo] = people
  const [asAda, asBen] = [platform.client(ada), platform.client(ben)]
  const { body: group } = await asAda.post('/conversations', { type: 'group', title: 'Picnic', participant_ids: [ben.id, cleo.id] })
  const path = `/messages/${group.id}`
  const post = async (content: string) => (await asAda.post(`/conversations/${group.id}/messages`, { content })).body
  await post('The very first')
  for (let n = 1; n <= 120; n++) await post(`line ${n}.`)
  for (const one of [ben, cleo]) await platform.client(one).post(`/conversations/${group.id}/read`, {})
  const a = await open(ada, { path })
  const b = await open(ben, { path })
  await b.message('line 120.').waitFor()
  const reactionOf = (page: Page, text: string, name: string | RegExp) =>
    page.getByRole('article').filter({ hasText: text }).getByRole('button', { name }).and(page.locator('.reaction'))

  await t.test('a reaction shows at once on both sides, and quick changes of mind end in the last state everywhere', async t => {
    await b.choose('line 120.', '❤️')
    await reactionOf(b.page, 'line 120.', '❤️').and(b.page.locator('[aria-pressed="true"]')).waitFor()
    const other = reactionOf(a.page, 'line 120.', /❤️.*Ben Brown/)
    await other.waitFor()
    t.equal(await other.getAttribute('aria-pressed'), 'false')

    // Ten at once: on is asked for first, and off last.
    const last = a.page.waitForResponse(response => response.request().method() === 'DELETE' && response.url().includes('/reactions/'))
    await reactionOf(a.page, 'line 120.', '❤️').evaluate((chip: { click(): void }) => {
      for (let n = 0; n < 10; n++) chip.click()
    })
    await last
    await until(async () => (await reactionOf(b.page, 'line 120.', '❤️').locator('.reaction-count').textContent()) === '1')
    t.equal(await reactionOf(a.page, 'line 120.', '❤️').getAttribute('aria-pressed'), 'false')
    await reactionOf(a.page, 'line 120.', '❤️').click()

    await reactionOf(b.page, 'line 120.', 'Ada Adams').waitFor()
    await until(async () => (await reactionOf(b.page, 'line 120.', '❤️').locator('.reaction-count').textContent()) === '2')
    t.equal(await reactionOf(a.page, 'line 120.', '❤️').getAttribute('aria-pressed'), 'true')
    await reactionOf(b.page, 'line 120.', '❤️').click()
    await until(async () => (await reactionOf(a.page, 'line 120.', '❤️').locator('.reaction-count').textContent()) === '1', {
      what: 'Ben has taken his back'
    })
  })

  await t.test('a reply by the keyboard quotes its message, Escape takes that back, and the quote leads to the message', async t => {
    const first = (await asBen.get(`/conversations/${group.id}/messages?limit=1&after=0`)).body.messages[0]
    await b.message('line 120.').focus()
    await b.page.keyboard.press('r')
    await b.page.getByText('Reply to Ada Adams').waitFor()
    await b.page.keyboard.press('Escape')
    t.equal(await b.page.getByText('Reply to Ada Adams').count(), 0)
    await b.choose('line 120.', 'Reply')
    await b.page.keyboard.type('So it is')
    await b.page.keyboard.press('Enter')
    await a
      .message('So it is')
      .getByRole('button', { name: /In reply to.*You.*line 120\./ })
      .waitFor()
    t.equal(await b.page.getByText('Reply to Ada Adams').count(), 0, 'the next message is no reply')

    await asBen.post(`/conversations/${group.id}/messages`, { content: 'As it began', reply_to_id: first.id })
    const quote = a.message('As it began').getByRole('button', { name: /In reply to.*You.*The very first/ })
    await quote.click()

    const original = a.message('The very first').and(a.page.locator(':focus'))
    await original.waitFor()
    await until(() => isInView(a.page, 'The very first'), { what: 'the first message is in view' })
    await a.page.getByRole('button', { name: /latest messages|new messages? below/ }).click()
    await a.message('As it began').waitFor()
  })

  await t.test('what one pins everyone has at hand, and all pins in a list that leads to them', async t => {
    await a.choose('line 119.', 'Pin')
    await b.page.getByRole('group', { name: 'Pinned messages' }).getByText('Ada Adams: line 119.').waitFor()
    await b.choose('line 118.', 'Pin')
    await a.page.getByRole('button', { name: 'All 2' }).click()
    const panel = a.page.getByRole('complementary', { name: 'Pinned messages' })
    await panel.getByRole('listitem').nth(1).waitFor()
    t.same(await panel.locator('.hit-text').allInnerTexts(), ['line 118.', 'line 119.'])
    t.same(await faultsOf(a.page), [])

    await b.choose('line 118.', 'Unpin')
    await until(async () => (await panel.getByRole('listitem').count()) === 1)
    await a.page.keyboard.press('Escape')
    await panel.waitFor({ state: 'detached' })
    t.equal(new URL(a.page.url()).search, '')
  })

  await t.test('a name after @ is completed, stands out for whoever it calls, and is counted in their list', async t => {
    const c = await open(cleo)
    await c.conversation('Picnic').waitFor()
    await b.composer.fill('Look, ')
    await b.composer.press('End')
    await b.composer.pressSequentially('@cl')
    await b.page.getByRole('option', { name: 'Cleo Clark' }).waitFor()
    await b.composer.press('Enter')
    t.equal(await b.composer.inputValue(), 'Look, @cleo.clark ')
    await b.composer.press('Enter')

    await c.conversation(/Picnic.*Mentions you/).click()
    await c.message('Look, @cleo.clark').getByText('Mentions you').waitFor({ state: 'attached' })
    t.equal(await c.page.locator('.mention.me').textContent(), '@cleo.clark')
    t.equal(await a.page.locator('.mention.me').count(), 0)
    await until(async () => (await c.conversation(/Mentions you/).count()) === 0, { what: 'read, it calls no more' })
  })

  await t.test('a message is said again in another conversation, marked as forwarded', async () => {
    await asBen.post(`/conversations/dm/${cleo.id}`)
    await b.choose('line 117.', 'Forward')
    await b.page.getByRole('dialog').getByRole('button', { name: 'Cleo Clark' }).click()
    await b.page.getByRole('dialog').waitFor({ state: 'detached' })

    await b.conversation('Cleo Clark').click()
    await b.message('line 117.').getByText('Forwarded').waitFor()
    await b.conversation('Picnic').click()
    await b.message('line 120.').first().waitFor()
  })

  await t.test('owners name and lock a conversation for everyone, others are not offered that', async t => {
    await b.page.getByRole('button', { name: 'Details' }).click()
    const theirs = b.page.getByRole('complementary', { name: 'Details' })
    await theirs.getByText('3 people').waitFor()
    t.equal(await theirs.getByRole('button', { name: 'Edit title and description' }).count(), 0)
    t.equal(await theirs.getByRole('combobox', { name: 'Status' }).count(), 0)
    await a.page.getByRole('button', { name: 'Details' }).click()
    const mine = a.page.getByRole('complementary', { name: 'Details' })
    t.same(await faultsOf(a.page), [])

    await mine.getByRole('button', { name: 'Edit title and description' }).click()
    await mine.getByRole('textbox', { name: 'Title' }).fill('Sunday picnic')
    await mine.getByRole('textbox', { name: 'Description' }).fill('Bring a blanket')
    await mine.getByRole('button', { name: 'Save' }).click()
    await theirs.getByText('Bring a blanket').waitFor()
    await b.conversation('Sunday picnic').waitFor()

    await mine.getByRole('combobox', { name: 'Status' }).selectOption('locked')
    await b.page.getByText('This conversation is locked. Messages can be read, not written.').waitFor()
    t.equal(await b.composer.count(), 0)
    await reactionOf(b.page, 'line 120.', '❤️').and(b.page.locator(':disabled')).waitFor()
    await mine.getByRole('combobox', { name: 'Status' }).selectOption('active')
    await b.composer.waitFor()
    await until(() => reactionOf(b.page, 'line 120.', '❤️').isEnabled())
  })

  await t.test('what I hold at the top, mute and archive is so for me alone, on every device', async t => {
    await asBen.post('/messages', { recipient_id: cleo.id, content: 'Something newer' })
    const second = await open(ben)
    await second.conversation('Cleo Clark').waitFor()
    const titles = (page: Page) => page.getByRole('navigation').locator('.item-title').allInnerTexts()
    t.same(await titles(second.page), ['Cleo Clark', 'Sunday picnic'])
    const panel = b.page.getByRole('complementary', { name: 'Details' })

    await panel.getByRole('switch', { name: 'Keep at the top' }).click()
    await until(async () => (await titles(second.page)).join() === 'Sunday picnic,Cleo Clark')
    await panel.getByRole('combobox', { name: 'Mute' }).selectOption('always')
    await second.conversation(/Sunday picnic.*Muted/).waitFor()
    await panel.getByRole('switch', { name: 'Archive' }).click()
    await until(async () => (await titles(second.page)).join() === 'Cleo Clark')
    t.match((await titles(a.page)).join(), /Sunday picnic/)
    await second.page.getByText('Archived', { exact: true }).click()
    await second.conversation('Sunday picnic').waitFor()
    t.same(await titles(second.page), ['Sunday picnic'])

    await panel.getByRole('combobox', { name: 'Mute' }).selectOption('off')
    await panel.getByRole('switch', { name: 'Archive' }).click()
    await second.page.getByText('Nothing is archived.').waitFor()
  })

  await t.test('what is written and not sent is there on another device, and gone once it is sent', async t => {
    const second = await open(ben, { path, colorScheme: 'dark', locale: 'ar-EG' })
    await second.message('Look, @cleo.clark').waitFor()
    t.same(await faultsOf(second.page), [], 'in dark colours, from right to left')
    await b.composer.fill('Half a thought')
    await until(async () => (await second.composer.inputValue()) === 'Half a thought', { what: 'the draft is on the other device' })

    await b.composer.press('Enter')
    await second.message('Half a thought').waitFor()
    await until(async () => (await second.composer.inputValue()) === '', { what: 'the draft is gone' })
  })

  await t.test('who leaves has the conversation no more, and the others read of it', async t => {
    const panel = b.page.getByRole('complementary', { name: 'Details' })
    await panel.getByRole('button', { name: 'Leave conversation' }).click()
    await b.page.getByRole('dialog').getByRole('button', { name: 'Leave conversation' }).click()

    await a.page.getByRole('main').getByText('Ben Brown left').waitFor()
    await until(async () => (await b.conversation('Sunday picnic').count()) === 0)
    t.equal(new URL(b.page.url()).pathname, '/')
    t.match((await textsIn(a.page)).join(), /Half a thought/)
  })
})

async function isInView(page: Page, text: string): Promise<boolean> {
  return page
    .getByRole('article')
    .filter({ hasText: text })
    .first()
    .evaluate((element: { getBoundingClientRect(): { top: number; bottom: number } }) => {
      const { top, bottom } = element.getBoundingClientRect()
      return top > 60 && bottom < 700
    })
}
