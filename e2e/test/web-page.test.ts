import { until } from '@parley/test-kit'
import t from 'tap'
import { faultsOf, startWeb, textsIn } from '../src/index.ts'

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

t.test('the page', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', '김민준', 'سارة المنصوري')
  const [ada, minjun, sara] = people
  const asMinjun = platform.client(minjun)
  const { body: direct } = await asMinjun.post(`/conversations/dm/${ada.id}`)
  const say = (content: string) => asMinjun.post(`/conversations/${direct.id}/messages`, { content })
  const path = `/messages/${direct.id}`

  await t.test('script and markup in a message stay text, and only web addresses become links', async t => {
    await say('<img src=x onerror="document.title=1"><script>document.title=2</script> <b>bold</b>')
    await say('javascript:alert(1) https://example.org/a_(b)?q=1. data:text/html,x mailto:a@example.org')

    const a = await open(ada, { path })

    await a.message('<b>bold</b>').waitFor()
    t.equal(await a.page.locator('article img, article script, article b').count(), 0)
    const links = a.page.locator('article a')
    t.same(await links.evaluateAll((all: { href: string }[]) => all.map(({ href }) => href)), [
      'https://example.org/a_(b)?q=1',
      'mailto:a@example.org'
    ])
    t.equal(await links.first().getAttribute('rel'), 'noopener noreferrer nofollow')
    t.match(await a.page.title(), /Parley$/)
  })

  await t.test('Enter that ends a Korean composition sends nothing, the next one sends the whole word once', async t => {
    const a = await open(ada, { path })
    await a.message('<b>bold</b>').waitFor()
    await a.composer.fill('네, ')
    await a.composer.press('End')
    const keyboard = await a.page.context().newCDPSession(a.page)
    await keyboard.send('Input.imeSetComposition', { text: '안녕하세', selectionStart: 4, selectionEnd: 4 })
    await keyboard.send('Input.imeSetComposition', { text: '안녕하세요', selectionStart: 5, selectionEnd: 5 })
    const enter = { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 }
    await keyboard.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...enter })
    await keyboard.send('Input.dispatchKeyEvent', { type: 'keyUp', ...enter })
    await keyboard.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Process', windowsVirtualKeyCode: 229 })
    await keyboard.send('Input.insertText', { text: '안녕하세요' })
    t.equal(await a.composer.inputValue(), '네, 안녕하세요')
    t.notMatch((await textsIn(a.page)).join(), /네|안녕/, 'not even the half that stood before')

    await a.composer.press('Enter')

    await a
      .message('안녕하세요')
      .getByText(/Sent|Read/)
      .waitFor({ state: 'attached' })
    t.equal((await textsIn(a.page)).filter(text => /네|안녕/.test(text)).join(), '네, 안녕하세요')
  })

  await t.test('on a phone one level is shown at a time, and back leads to the list', async t => {
    const a = await open(ada, PHONE)
    await a.conversation('김민준').tap()
    await a.message('<b>bold</b>').waitFor()
    t.notOk(await a.page.getByRole('navigation').isVisible(), 'the list is away')
    t.equal(new URL(a.page.url()).pathname, path)

    await a.page.goBack()
    await a.page.getByRole('navigation').waitFor()
    t.notOk(await a.composer.isVisible())

    await a.conversation('김민준').tap()
    await a.page.getByRole('button', { name: 'Back' }).tap()
    await a.page.getByRole('navigation').waitFor()
    t.equal(new URL(a.page.url()).pathname, '/')
    t.equal(await a.page.evaluate('document.documentElement.scrollWidth'), 390, 'nothing is wider than the phone')
  })

  await t.test('in an Arabic browser the page is Arabic and reads from the right', async t => {
    const s = await open(sara, { ...PHONE, locale: 'ar-EG' })

    await s.page.getByText('لا توجد محادثات بعد').first().waitFor()

    t.equal(await s.page.locator('html').getAttribute('dir'), 'rtl')
    t.equal(await s.page.evaluate('document.documentElement.scrollWidth'), 390)
  })

  await t.test('older messages come without a jump, and what arrives meanwhile is counted below', async t => {
    const { body: group } = await asMinjun.post('/conversations', { type: 'group', title: 'Long', participant_ids: [ada.id] })
    const post = (n: number) => asMinjun.post(`/conversations/${group.id}/messages`, { content: `line ${n}.\n`.repeat((n % 4) + 1) })
    for (let n = 1; n <= 180; n++) await post(n)
    await platform.client(ada).post(`/conversations/${group.id}/read`, {})
    const a = await open(ada, { path: `/messages/${group.id}` })
    await a.message('line 180.').waitFor()
    const list = a.page.getByRole('region', { name: /Messages/ })
    await list.hover()

    const topOf = (text: string) =>
      a.message(text).evaluate((element: { getBoundingClientRect(): { y: number } }) => element.getBoundingClientRect().y)
    await until(
      async () => {
        await a.page.mouse.wheel(0, -500)
        return (await a.message('line 2.').count()) > 0 && (await topOf('line 2.')) > 200
      },
      { timeoutMs: 20_000, what: 'the beginning is reached' }
    )
    const before = await topOf('line 2.')
    await post(181)
    await a.page.getByRole('button', { name: '1 new message below' }).waitFor()
    t.equal(await topOf('line 2.'), before, 'what is read stays where it is')

    await a.page.getByRole('button', { name: '1 new message below' }).click()
    await a.message('line 181.').waitFor()
    await until(async () => (await a.page.title()) !== '(1) Parley')
    t.ok((await a.page.getByRole('article').count()) < 120, 'only what is near the view is drawn')
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    await t.test(`there is no serious fault for those who use the page in another way, in ${colorScheme} colours`, async t => {
      const a = await open(ada, { path, colorScheme })
      await a.message('<b>bold</b>').waitFor()
      t.same(await faultsOf(a.page), [], 'a conversation')
      await a.page.getByRole('button', { name: 'New conversation' }).first().click()
      await a.page.getByRole('dialog').getByText('김민준').waitFor()
      t.same(await faultsOf(a.page), [], 'a new conversation')
      await a.page.keyboard.press('Escape')
      await a.page.getByRole('button', { name: 'Settings' }).click()
      t.same(await faultsOf(a.page), [], 'the settings')
      await a.page.getByRole('button', { name: 'Be someone else' }).click()
      await a.page.getByRole('button', { name: 'Ada Adams' }).waitFor()
      t.same(await faultsOf(a.page), [], 'the sign-in')
      const phone = await open(ada, { ...PHONE, colorScheme })
      await phone.conversation(/^김민준/).waitFor()
      t.same(await faultsOf(phone.page), [], 'the list on a phone')
    })
  }
})
