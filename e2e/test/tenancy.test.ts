import { frames, requests, routes } from '@parley/contracts'
import { failOnLeftovers, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { framesNotTried } from '../tenancy/frames.ts'
import { probeTenancy } from '../tenancy/probe.ts'
import { requestsNotTried } from '../tenancy/requests.ts'
import { routesNotTried } from '../tenancy/routes.ts'
import { setStage } from '../tenancy/stage.ts'

failOnLeftovers(t)

const platform = await startPlatform(t)
const doors = { url: platform.urls[0]!, natsUrl: platform.nats.url, token: platform.token, query: platform.database.query }

t.test('every route, every id that it takes, every frame of a client and every request over NATS is tried', async t => {
  t.same(routesNotTried(), [])
  t.same(framesNotTried(), [])
  t.same(requestsNotTried(), [])
})

t.test('a route, an id, a frame or a request that nobody tries is named', async t => {
  const { body, ...known } = routes.get('POST /messages')!
  const more = { ...body!, properties: { ...body!.properties, folder_id: body!.properties.recipient_id } }
  const changed = [...routes.values()].map(route =>
    route.method === 'POST' && route.path === '/messages' ? { ...known, body: more } : route
  )
  t.same(routesNotTried([...changed, { ...known, path: '/new' }]), [
    'POST /messages: body.folder_id is not tried',
    'POST /new has no entry'
  ])
  const frame = { ...frames.get('client join')!, type: 'peek' }
  t.same(framesNotTried([...frames.values(), frame]), ['peek has no entry'])
  t.same(requestsNotTried(new Map([...requests, ['messages.peek', requests.get('messages.get')!]])), ['messages.peek has no entry'])
})

t.test('nobody gets anything of another organization, or of a conversation they are not in, by any road', async t => {
  const stage = await probeTenancy(t, doors)
  t.same(stage.findings, [])
  t.ok(stage.probes > 400, `${stage.probes} probes`)
})

t.test('a mark that reaches somebody who may not have it is found', async t => {
  const stage = await setStage(doors)
  stage.hear('foreign admin', 'a list', { name: stage.orgMark })
  stage.hear('colleague', 'a list', { name: stage.orgMark })
  stage.hear('removed participant', 'a frame', { content: stage.conversationMark })
  stage.searchMarks()
  t.equal(stage.findings.length, 2)
})
