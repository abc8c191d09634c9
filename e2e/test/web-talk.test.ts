import { until } from '@parley/test-kit'
import t from 'tap'
import { faultsOf, startWeb, textsIn } from '../src/index.ts'

t.test('two people talk live in two windows', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown')
  const [ada, ben] = people
  const { body: direct } = await platform.client(ada).post(`/conversations/dm/${ben.id}`)
  const a = await open(ada, { path: `/messages/${direct.id}` })
  const b = await open(ben)

  await t.test('a deep link survives the sign-in, and what one sends the other has in the list, unread', async t => {
    await a.say('Hello Ben')
    await a.say('Are you there?')

    await b.conversation(/Ada Adams.*Are you there\?.*2 unread messages/).waitFor()
    t.equal(await b.page.title(), '(2) Parley')
    t.same(await textsIn(a.page), ['Hello Ben', 'Are you there?'])
  })

  await t.test('reading marks the messages as read for their author and clears the count', async t => {
    await b.conversation('Ada Adams').click()

    await b.page.getByText('2 new messages').waitFor()
    await a.message('Are you there?').getByText('Read', { exact: true }).waitFor({ state: 'attached' })
    await until(async () => (await b.page.title()) === 'Parley')
    t.equal((await platform.client(ben).get('/unread')).body.total, 0)
    t.equal(await b.page.getByText('2 new messages').count(), 1, 'the line between old and new stays where it was')
  })

  await t.test('answers come live, in order, on both sides', async t => {
    for (const n of [1, 2, 3]) await b.say(`Answer ${n}`)

    await a.message('Answer 3').waitFor()
    const wanted = ['Hello Ben', 'Are you there?', 'Answer 1', 'Answer 2', 'Answer 3']
    await until(async () => (await textsIn(a.page)).join() === wanted.join())
    t.same(await textsIn(b.page), wanted)
  })

  await t.test('an edit by the up arrow appears in the other window, marked', async t => {
    await a.composer.press('ArrowUp')
    await a.page.getByRole('textbox', { name: 'Write to Ben Brown' }).and(a.page.locator(':focus')).waitFor()
    t.equal(await a.composer.inputValue(), 'Are you there?')
    await a.composer.fill('Are you there, Ben?')
    await a.composer.press('Enter')

    await b.message('Are you there, Ben?').getByText('edited').waitFor()
    await until(async () => (await a.composer.inputValue()) === '', { what: 'the composer is free again' })
  })

  await t.test('a message that is deleted, once that is confirmed, is gone in both windows and keeps its place', async t => {
    await b.choose('Answer 2', 'Delete')
    await b.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()

    await a.message('This message was deleted').waitFor()
    await b.message('This message was deleted').waitFor()
    t.same(await textsIn(a.page), ['Hello Ben', 'Are you there, Ben?', 'Answer 1', 'Answer 3'])
  })

  await t.test('a second window of the same person is told what was read in the first', async t => {
    const second = await open(ben)
    await a.say('One more')
    await b.message('One more').waitFor()

    await second.conversation(/One more/).waitFor()
    await until(async () => (await second.page.title()) === 'Parley', { what: 'the count is cleared by the other window' })
    t.equal(await second.page.getByText(/unread message/).count(), 0)
  })
})

t.test('a group is made in the page, and everyone in it has it at once', async t => {
  const { people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown', 'Cleo Clark')
  const [ada, ben, cleo] = people
  const [a, b, c] = [await open(ada), await open(ben), await open(cleo)]
  await b.page.getByText('No conversations yet').first().waitFor()

  await a.page.getByRole('button', { name: 'New conversation' }).first().click()
  const dialog = a.page.getByRole('dialog')
  await dialog.getByRole('checkbox', { name: 'Ben Brown' }).check()
  await dialog.getByRole('checkbox', { name: 'Cleo Clark' }).check()
  await dialog.getByRole('textbox', { name: 'Name of the group' }).fill('Picnic')
  await dialog.getByRole('button', { name: 'Create group' }).click()
  await a.say('Sunday?')

  for (const window of [b, c]) await window.conversation(/Picnic.*Ada Adams: Sunday\?.*1 unread message/).waitFor()
  await c.conversation('Picnic').click()
  await c.say('Sunday!')
  await a.message('Sunday!').getByText('Cleo Clark').waitFor()
  t.same(await textsIn(a.page), ['Sunday?', 'Sunday!'])
})

t.test('a thread is read and edited by the keyboard alone', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown')
  const [ada, ben] = people
  const { body: direct } = await platform.client(ada).post(`/conversations/dm/${ben.id}`)
  for (const n of [1, 2, 3]) await platform.client(ada).post(`/conversations/${direct.id}/messages`, { content: `message ${n}` })
  const a = await open(ada, { path: `/messages/${direct.id}` })
  const focused = a.page.locator(':focus')
  await a.message('message 3').waitFor()
  await a.composer.focus()

  await a.page.keyboard.press('Shift+Tab')
  await a.page.keyboard.press('Shift+Tab')
  t.match(await focused.getAttribute('aria-label'), /^You, .*: message 3$/)
  await a.page.keyboard.press('ArrowUp')
  await until(async () => /message 2$/.test((await focused.getAttribute('aria-label')) ?? ''))
  await a.page.keyboard.press('e')
  await until(async () => (await focused.inputValue()) === 'message 2')
  await a.page.keyboard.type('!')
  await a.page.keyboard.press('Enter')

  await a.message('message 2!').getByText('edited').waitFor()
  t.same(await textsIn(a.page), ['message 1', 'message 2!', 'message 3'])
})

t.test('in a group whoever wrote a message sees who has read it, as they read it', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown', 'Cleo Clark')
  const [ada, ben, cleo] = people
  const { body: group } = await platform.client(ada).post('/conversations', {
    type: 'group',
    title: 'Picnic',
    participant_ids: [ben.id, cleo.id]
  })
  const path = `/messages/${group.id}`
  const a = await open(ada, { path })
  await a.say('Sunday at ten?')
  const b = await open(ben, { path })
  await b.message('Sunday at ten?').waitFor()
  await until(async () => (await platform.client(ben).get('/unread')).body.total === 0)

  await a.choose('Sunday at ten?', 'Read by')
  const dialog = a.page.getByRole('dialog')
  await dialog.getByRole('heading', { name: 'Read by 1 person' }).waitFor()
  await dialog.getByRole('list', { name: 'Read by' }).getByText('Ben Brown').waitFor()
  await dialog.getByRole('list', { name: 'Not read yet' }).getByText('Cleo Clark').waitFor()
  t.equal(await a.message('Sunday at ten?').getByText('Sent', { exact: true }).count(), 1, 'not everyone has read it')
  t.same(await faultsOf(a.page), [])

  const c = await open(cleo, { path, colorScheme: 'dark' })
  await c.message('Sunday at ten?').waitFor()
  await dialog.getByRole('heading', { name: 'Read by 2 people' }).waitFor()
  await dialog.getByRole('list', { name: 'Read by' }).getByText('Cleo Clark').waitFor()
  t.equal(await dialog.getByRole('list', { name: 'Not read yet' }).count(), 0)
  await a.page.keyboard.press('Escape')
  await a.message('Sunday at ten?').getByText('Read by everyone').waitFor({ state: 'attached' })

  await c.message('Sunday at ten?').hover()
  await c.message('Sunday at ten?').getByRole('button', { name: 'More for this message' }).click()
  await c.page.getByRole('menuitem', { name: 'Copy text' }).waitFor()
  t.equal(await c.page.getByRole('menuitem', { name: 'Read by' }).count(), 0, "it is offered for one's own messages")
})
