import t from 'tap'
import { startWeb } from '../src/index.ts'

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
