import { setTimeout as delay } from 'node:timers/promises'
import { until } from '@parley/test-kit'
import t from 'tap'
import { startWeb, textsIn } from '../src/index.ts'

t.test('what is written while the gateway is away arrives once, in order, when it is back', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown')
  const [ada, ben] = people
  const { body: direct } = await platform.client(ada).post(`/conversations/dm/${ben.id}`)
  const a = await open(ada, { path: `/messages/${direct.id}` })
  const b = await open(ben, { path: `/messages/${direct.id}` })
  await a.say('before')
  await b.message('before').waitFor()

  // One is on its way at the very moment, two are written afterwards.
  await a.composer.fill('under way')
  await a.composer.press('Enter')
  platform.gateways[0]!.kill('SIGKILL')
  await platform.gateways[0]!.exited
  await a.say('while away 1')
  await a.say('while away 2')
  await a.message('while away 2').getByText('Sending…').waitFor({ state: 'attached' })
  await a.page.getByRole('status').getByText('Reconnecting').waitFor()
  await platform.gateways[0]!.restart()

  const wanted = ['before', 'under way', 'while away 1', 'while away 2']
  for (const { page } of [a, b]) {
    await until(async () => (await textsIn(page)).join() === wanted.join(), { timeoutMs: 20_000, what: 'all four, each once, in order' })
  }
  await until(async () => (await a.page.getByText('Sending…').count()) === 0)
  await until(async () => (await a.page.getByText('Reconnecting').count()) === 0, { what: 'the banner is gone' })
  const { body } = await platform.client(ben).get(`/conversations/${direct.id}/messages`)
  t.same(
    body.messages.map((message: { content: string }) => message.content),
    wanted
  )
})

t.test('what others wrote, edited and deleted meanwhile is there after a reconnect, and counted', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown')
  const [ada, ben] = people
  const asBen = platform.client(ben)
  const { body: direct } = await asBen.post(`/conversations/dm/${ada.id}`)
  const send = async (content: string) => (await asBen.post(`/conversations/${direct.id}/messages`, { content })).body
  const [edited, deleted] = [await send('will be edited'), await send('will be deleted')]
  const a = await open(ada, { path: `/messages/${direct.id}` })
  await a.message('will be deleted').waitFor()
  const elsewhere = await open(ada)
  await elsewhere.conversation(/will be deleted/).waitFor()

  // The pages lose the network while the platform goes on.
  for (const { page } of [a, elsewhere]) await page.context().setOffline(true)
  platform.gateways[0]!.kill('SIGKILL')
  await a.page.getByText('You are offline').waitFor()
  await platform.gateways[0]!.restart()
  await asBen.patch(`/messages/${edited.id}`, { content: 'was edited' })
  await asBen.delete(`/messages/${deleted.id}`)
  for (const n of [1, 2, 3]) await send(`missed ${n}`)
  await a.say('written offline')
  for (const { page } of [a, elsewhere]) await page.context().setOffline(false)

  const wanted = ['was edited', 'missed 1', 'missed 2', 'missed 3', 'written offline']
  await until(async () => (await textsIn(a.page)).join() === wanted.join(), { timeoutMs: 20_000, what: 'the thread is whole' })
  t.equal(await a.message('This message was deleted').count(), 1)
  await elsewhere.conversation(/You: written offline/).waitFor()
  await until(async () => (await elsewhere.page.title()) === 'Parley', { what: 'sending has moved the read position' })
})

t.test('a message that was not sent when the page was reloaded is sent afterwards', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown')
  const [ada, ben] = people
  const { body: direct } = await platform.client(ada).post(`/conversations/dm/${ben.id}`)
  const a = await open(ada, { path: `/messages/${direct.id}` })
  await a.say('first')
  await a.message('first').getByText('Sent').waitFor({ state: 'attached' })
  // Its socket is held, so that nothing leaves the page.
  platform.gateways[0]!.kill('SIGSTOP')
  await a.say('kept over a reload')
  await a.composer.fill('a draft')
  await delay(500)
  platform.gateways[0]!.kill('SIGKILL')
  await platform.gateways[0]!.restart()

  await a.page.reload()

  await a.message('kept over a reload').getByText('Sent').waitFor({ state: 'attached' })
  t.same(await textsIn(a.page), ['first', 'kept over a reload'])
  t.equal(await a.composer.inputValue(), 'a draft')
})

t.test('a message whose answer is lost on the way is stored once and shown once', async t => {
  const { platform, people, open } = await startWeb(t, 'Ada Adams', 'Ben Brown')
  const [ada, ben] = people
  const { body: direct } = await platform.client(ada).post(`/conversations/dm/${ben.id}`)
  let sent = 0
  const a = await open(ada, {
    path: `/messages/${direct.id}`,
    prepare: page =>
      page.routeWebSocket(/\/api\/v1\/ws/, socket => {
        const server = socket.connectToServer()
        let deaf = false
        socket.onMessage(message => {
          // The first attempt reaches the server, and nothing that it says after that comes back.
          if (String(message).includes('send_message') && sent++ === 0) {
            deaf = true
            setTimeout(() => void socket.close({ code: 1006 }).catch(() => server.close()), 500)
          }
          server.send(message)
        })
        server.onMessage(message => {
          if (!deaf) socket.send(message)
        })
      })
  })
  await a.message(/./).or(a.page.getByText('Say hello')).first().waitFor()

  await a.say('only once')

  await a.message('only once').getByText('Sent').waitFor({ state: 'attached' })
  t.equal(sent, 1, 'what was missed told of it before it was sent again')
  t.same(await textsIn(a.page), ['only once'])
  t.equal((await platform.client(ben).get(`/conversations/${direct.id}`)).body.last_seq, 1)
})
