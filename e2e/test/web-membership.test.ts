import { person, until } from '@parley/test-kit'
import type { Page } from 'playwright-core'
import t from 'tap'
import { faultsOf, startWeb } from '../src/index.ts'

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

t.test('who is added to a group has it at once, reads of it in their own language, and loses it when they are removed', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown', 'Cleo Clark')
  const [ada, ben, cleo] = people
  const as = platform.client(ada)
  const { body: group } = await as.post('/conversations', { type: 'group', title: 'Picnic', participant_ids: [cleo.id] })
  await as.post(`/conversations/${group.id}/messages`, { content: 'Only for two' })
  const a = await open(ada, { path: `/messages/${group.id}` })
  const b = await open(ben)
  const c = await open(cleo, { locale: 'ko-KR' })
  await b.page.getByText('No conversations yet').first().waitFor()

  await as.post(`/conversations/${group.id}/participants`, { user_id: ben.id })

  await b.conversation(/Picnic.*Ada Adams added you/).click()
  await b.page.getByRole('main').getByText('Ada Adams added you').waitFor()
  t.equal(await b.page.getByText('Only for two').count(), 0, 'what was said before is not for them')
  await a.page.getByRole('main').getByText('You added Ben Brown').waitFor()
  await c.conversation(/Picnic.*Ada Adams 님이 Ben Brown 님을 추가했습니다/).waitFor()
  t.equal(await c.page.getByText(/added/).count(), 0)

  await b.say('Thank you')
  await a.message('Thank you').waitFor()
  await as.delete(`/conversations/${group.id}/participants/${ben.id}`)

  await b.page.getByText('This conversation is not here').waitFor()
  t.equal(await b.conversation('Picnic').count(), 0)
  await a.page.getByRole('main').getByText('You removed Ben Brown').waitFor()
  await c.conversation(/Picnic.*Ada Adams 님이 Ben Brown 님을 내보냈습니다/).waitFor()
})

t.test('people of a conversation, in its details', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown', 'Cleo Clark', '김민준', 'سارة المنصوري')
  const [ada, ben, cleo, minjun, sara] = people
  const asAda = platform.client(ada)
  const { body: group } = await asAda.post('/conversations', { type: 'group', title: 'Picnic', participant_ids: [ben.id, cleo.id] })
  const path = `/messages/${group.id}?panel=details`
  const members = (page: Page) => page.getByRole('list', { name: 'People' })
  const a = await open(ada, { path })
  const b = await open(ben, { path })
  await members(a.page).getByText('Cleo Clark').waitFor()
  await members(b.page).getByText('Cleo Clark').waitFor()

  await t.test('somebody is found by a part of their name and added by the keyboard alone, and everyone sees it at once', async t => {
    const m = await open(minjun, { locale: 'ko-KR' })
    await m.page.getByText('아직 대화가 없습니다').first().waitFor()
    await a.page.getByRole('button', { name: 'Add people' }).focus()
    await a.page.keyboard.press('Enter')
    const field = a.page.getByRole('combobox', { name: 'Find people' })
    await field.and(a.page.locator(':focus')).waitFor()
    await a.page.getByText('Whoever comes in sees what is said from then on.').waitFor()

    // Enter right behind the words is for those whom the words find, not for those who were listed before.
    await a.page.keyboard.type('cleo')
    await a.page.keyboard.press('Enter')
    await a.page
      .getByRole('option', { name: /Cleo Clark.*Here already/ })
      .and(a.page.locator('[aria-selected="true"]'))
      .waitFor()
    await until(async () => (await a.page.getByRole('listbox').getByRole('option').count()) === 1)
    await field.fill('민준')
    await a.page.getByRole('option', { name: '김민준' }).and(a.page.locator('[aria-selected="true"]')).waitFor()
    t.same(await faultsOf(a.page), [])
    await a.page.keyboard.press('Enter')

    await a.page.getByRole('status').getByText('김민준 was added').waitFor()
    await members(a.page).getByText('김민준').waitFor()
    await members(b.page).getByText('김민준').waitFor()
    await b.page.getByRole('heading', { name: '4 people' }).waitFor()
    await m.conversation(/Picnic/).waitFor()
    await until(async () => (await field.inputValue()) === '', { what: 'the field is free for the next one' })
    await a.page.keyboard.press('Escape')
    await a.page.getByRole('button', { name: 'Add people' }).and(a.page.locator(':focus')).waitFor()
    t.ok(await members(a.page).isVisible(), 'Escape closed the search, and not the panel')
  })

  await t.test('who may not let people in is offered nothing of it, until they are made an admin', async t => {
    const roleOf = (page: Page, name: string) => members(page).getByRole('combobox', { name: `Role of ${name}` })
    t.equal(await b.page.getByRole('button', { name: 'Add people' }).count(), 0)
    t.equal(await members(b.page).getByRole('combobox').count(), 0)
    t.equal(await members(b.page).getByRole('button').count(), 0)

    await roleOf(a.page, 'Ben Brown').selectOption('Admin')

    await b.page.getByRole('button', { name: 'Add people' }).waitFor()
    await roleOf(b.page, 'Cleo Clark').waitFor()
    t.equal(await roleOf(b.page, 'Ada Adams').count(), 0, 'an owner is dealt with by owners')
    t.notMatch(await roleOf(b.page, 'Cleo Clark').textContent(), /Owner/)
    await roleOf(b.page, 'Cleo Clark').selectOption('Guest')
    await until(async () => (await roleOf(a.page, 'Cleo Clark').inputValue()) === 'guest', { what: 'the other window has it' })
  })

  await t.test('what is refused is said in words, and what stood before stands again', async t => {
    const role = members(b.page).getByRole('combobox', { name: 'Role of Cleo Clark' })
    await b.page.route('**/participants/*', route => route.fulfill({ status: 403, json: { code: 'forbidden', detail: 'no' } }))
    await role.selectOption('Admin')
    await b.page.getByRole('status').getByText('You may not do this here.').waitFor()
    await until(async () => (await role.inputValue()) === 'guest')
    await b.page.unroute('**/participants/*')

    await b.page.getByRole('button', { name: 'Add people' }).click()
    await b.page.route('**/api/v1/users?**', route => route.fulfill({ status: 503, json: { code: 'unavailable', detail: 'away' } }))
    await b.page.getByRole('combobox', { name: 'Find people' }).fill('سار')
    await b.page.getByRole('alert').getByText('People could not be loaded.').waitFor()
    await b.page.unroute('**/api/v1/users?**')
    await b.page.getByRole('button', { name: 'Try again' }).click()
    await b.page.route('**/participants', route => route.fulfill({ status: 409, json: { code: 'conversation_full', detail: 'full' } }))
    await b.page.getByRole('option', { name: 'سارة المنصوري' }).click()
    await b.page.getByRole('status').getByText('This conversation has as many people as it may.').waitFor()
    await b.page.unroute('**/participants')
    t.equal(await members(b.page).getByText('سارة المنصوري').count(), 0)
  })

  await t.test('on a phone, in Arabic and in dark colours, somebody is let in and out', async t => {
    await asAda.patch(`/conversations/${group.id}/participants/${ben.id}`, { role: 'owner' })
    const phone = await open(ben, { ...PHONE, path, locale: 'ar-EG', colorScheme: 'dark' })
    await phone.page.getByRole('button', { name: 'إضافة أشخاص' }).tap()
    await phone.page.getByRole('option', { name: 'سارة المنصوري' }).tap()
    await members(a.page).getByText('سارة المنصوري').waitFor()
    t.same(await faultsOf(phone.page), [])
    t.equal(await phone.page.evaluate('document.documentElement.scrollWidth'), 390)

    await phone.page.getByRole('button', { name: /إزالة .*Cleo Clark.* من هذه المحادثة/ }).tap()
    await phone.page.getByRole('dialog').getByRole('button', { name: 'إزالة' }).tap()
    await until(async () => (await members(a.page).getByText('Cleo Clark').count()) === 0)
    await a.page.getByRole('main').getByText('Ben Brown removed Cleo Clark').waitFor()
    const { body } = await asAda.get(`/conversations/${group.id}`)
    t.same(body.participants.map((one: { user_id: string }) => one.user_id).sort(), [ada.id, ben.id, minjun.id, sara.id].sort())
  })

  await t.test('beyond the first hundred people are read when they are asked for, and counted rightly as they come and go', async t => {
    const crowd = Array.from({ length: 130 }, (_, n) => person({ name: `Person ${n}`, org_id: ada.org_id }))
    for (const one of crowd) await platform.client(one).get('/me')
    const { body: large } = await asAda.post('/conversations', {
      type: 'group',
      title: 'Crowd',
      participant_ids: [ben.id, ...crowd.map(({ id }) => id)]
    })
    const w = await open(ben, { path: `/messages/${large.id}?panel=details` })
    await w.page.getByRole('heading', { name: '132 people' }).waitFor()
    t.equal(await members(w.page).getByRole('listitem').count(), 100)

    const listed = new Set((await asAda.get(`/conversations/${large.id}`)).body.participants.map((one: { user_id: string }) => one.user_id))
    const beyond = crowd.filter(({ id }) => !listed.has(id))
    await asAda.delete(`/conversations/${large.id}/participants/${beyond[0]!.id}`)
    await w.page.getByRole('heading', { name: '131 people' }).waitFor()
    await asAda.patch(`/conversations/${large.id}/participants/${beyond[1]!.id}`, { role: 'guest' })
    await members(w.page).getByText('Guest').waitFor()
    t.equal(await w.page.getByRole('heading', { name: '131 people' }).count(), 1)

    await w.page.getByRole('button', { name: 'Show more people' }).click()
    await until(async () => (await members(w.page).getByRole('listitem').count()) === 131)
    t.equal(await w.page.getByRole('button', { name: 'Show more people' }).count(), 0)
  })
})
