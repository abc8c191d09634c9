import { person, until } from '@parley/test-kit'
import type { Page } from 'playwright-core'
import t from 'tap'
import { faultsOf, startWeb } from '../src/index.ts'

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

t.test('reactions with any emoji', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown', 'Cleo Clark')
  const [ada, ben, cleo] = people
  const [asAda, asBen] = [platform.client(ada), platform.client(ben)]
  const { body: group } = await asAda.post('/conversations', { type: 'group', title: 'Picnic', participant_ids: [ben.id, cleo.id] })
  const path = `/messages/${group.id}`
  const post = async (content: string) => (await asAda.post(`/conversations/${group.id}/messages`, { content })).body
  await post('Tea or coffee?')
  const a = await open(ada, { path })
  await a.message('Tea or coffee?').waitFor()
  const reaction = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).and(page.locator('.reaction'))
  const picker = (page: Page, name = 'Choose an emoji') => page.getByRole('dialog', { name })

  await t.test('an emoji is found by a word and chosen by the keyboard alone, and what is chosen comes from our own server', async t => {
    const b = await open(ben, { path })
    const asked: string[] = []
    b.page.on('request', request => asked.push(request.url()))
    await b.message('Tea or coffee?').focus()
    await b.page.keyboard.press('+')
    await b.page.getByRole('menuitem', { name: 'Choose an emoji' }).waitFor()
    t.notMatch(asked.join(), /EmojiPicker|order-/, 'nothing of it is read before it is opened')
    await b.page.getByRole('menuitem', { name: 'Choose an emoji' }).click()
    const field = picker(b.page).getByRole('searchbox', { name: 'Find an emoji' })
    await field.and(b.page.locator(':focus')).waitFor()
    await picker(b.page).getByRole('button', { name: 'grinning face', exact: true }).waitFor()
    t.same(await faultsOf(b.page), [])
    t.ok((await picker(b.page).locator('.emoji-cells button').count()) > 1_500, 'all of them are there')

    await b.page.keyboard.type('hot bev')
    await until(async () => (await picker(b.page).locator('.emoji-cells button').first().textContent()) === '☕')
    t.same(await faultsOf(b.page), [])
    await b.page.keyboard.press('Enter')
    await reaction(a.page, /☕.*Ben Brown/).waitFor()
    await b.message('Tea or coffee?').getByRole('button', { name: 'More for this message' }).and(b.page.locator(':focus')).waitFor()
    const own = new URL(b.page.url()).origin
    t.same(
      asked.filter(url => !url.startsWith(own) && !url.startsWith('data:')),
      [],
      'nothing is asked of anybody else'
    )
  })

  await t.test('what was used lately stands first, the arrows walk the rows, and a skin tone is remembered', async t => {
    const b = await open(ben, { path })
    await b.choose('Tea or coffee?', 'Choose an emoji')
    await picker(b.page).getByRole('button', { name: 'grinning face', exact: true }).waitFor()
    await picker(b.page).getByRole('searchbox').fill('thumbs')
    await picker(b.page).getByRole('radio', { name: 'Medium dark' }).check({ force: true })
    await picker(b.page).getByRole('searchbox').press('ArrowDown')
    const focused = b.page.locator(':focus')
    t.equal(await focused.textContent(), '👍🏾')
    await b.page.keyboard.press('ArrowRight')
    t.equal(await focused.textContent(), '👎🏾')
    await b.page.keyboard.press('Enter')
    await reaction(a.page, /👎🏾.*Ben Brown/).waitFor()

    await b.page.reload()
    await b.choose('Tea or coffee?', 'Choose an emoji')
    const lately = picker(b.page).getByRole('group', { name: 'Used lately' })
    await lately.getByRole('button', { name: 'thumbs down' }).waitFor()
    t.equal(await lately.getByRole('button').first().textContent(), '👎🏾')
    await b.page.keyboard.press('Escape')
    await picker(b.page).waitFor({ state: 'detached' })
  })

  await t.test('words of the language shown are found as well as English ones', async t => {
    for (const [locale, name, word] of [
      ['ko-KR', '이모지 고르기', '커피'],
      ['ja-JP', '絵文字を選ぶ', 'コーヒー'],
      ['ar-EG', 'اختيار رمز تعبيري', 'قهوة']
    ] as const) {
      const c = await open(cleo, { path, locale, ...(locale === 'ar-EG' && { ...PHONE, colorScheme: 'dark' as const }) })
      await c.message('Tea or coffee?').focus()
      await c.page.keyboard.press('+')
      await c.page.getByRole('menuitem', { name }).click()
      const field = picker(c.page, name).getByRole('searchbox')
      const first = picker(c.page, name).locator('.emoji-cells button').first()
      for (const query of [word, 'coffee', '☕']) {
        await field.fill(query)
        await until(async () => (await first.textContent()) === '☕', { what: `${query} is found` })
      }
      t.same(await faultsOf(c.page), [], locale)
      const width = Number(await c.page.evaluate('document.documentElement.scrollWidth'))
      t.ok(width <= (c.page.viewportSize()?.width ?? 0), `nothing is wider than the window: ${width}`)
      await field.fill('xyzzyx')
      await until(async () => (await first.count()) === 0)
    }
  })

  await t.test('of many who reacted the first are named, the others counted, and any of them may take theirs back', async t => {
    const crowd = Array.from({ length: 30 }, (_, n) => person({ name: `Person ${n}`, org_id: ada.org_id }))
    for (const one of crowd) await platform.client(one).get('/me')
    const participant_ids = [ben.id, ...crowd.map(({ id }) => id)]
    const { body: large } = await asAda.post('/conversations', { type: 'group', title: 'Crowd', participant_ids })
    const { body: message } = await asAda.post(`/conversations/${large.id}/messages`, { content: 'Hands up' })
    for (const one of [...crowd, ben]) await platform.client(one).put(`/messages/${message.id}/reactions/${encodeURIComponent('🎉')}`)

    const b = await open(ben, { path: `/messages/${large.id}` })
    const chip = reaction(b.page, /🎉/)
    await chip.waitFor()
    t.match(await chip.getAttribute('title'), /^(Person \d+, ){19}Person \d+,? and 11 others$/)
    t.equal(await chip.locator('.reaction-count').textContent(), '31')
    await chip.click()
    await until(async () => (await chip.locator('.reaction-count').textContent()) === '30', { what: 'it was his own that went' })
    const counted = async () => (await asBen.get(`/messages/${message.id}`)).body.reactions[0].count
    await until(async () => (await counted()) === 30)
    await chip.click()
    await until(async () => (await chip.getAttribute('aria-pressed')) === 'true')
    await until(async () => (await counted()) === 31)
  })
})
