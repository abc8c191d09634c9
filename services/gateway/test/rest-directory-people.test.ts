import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { client, colleagues, failOnLeftovers, openSocket, person, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { gateways: 2 })
const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
const host = person({ name: 'Host', org_id: ada.org_id, role: 'service' })
const stranger = person({ name: 'Stranger' })
const foreignHost = person({ name: 'Foreign host', org_id: stranger.org_id, role: 'service' })
await known(platform, ada, ben, cleo, host, stranger, foreignHost)
const as = platform.client
const anyone = client(platform.urls[0]!)
const roles = (['member', 'moderator', 'admin'] as const).map(role => person({ name: role, org_id: ada.org_id, role }))

async function put(display_name: string, more: object = {}): Promise<string> {
  const id = randomUUID()
  const { status, body } = await as(host).put(`/users/${id}`, { display_name, ...more })
  if (status !== 200) throw new Error(JSON.stringify(body))
  return id
}
const find = async (q: string): Promise<string[]> =>
  (await as(ada).get(`/users?q=${encodeURIComponent(q)}&limit=100`)).body.users.map((user: { display_name: string }) => user.display_name)

t.test('the host application creates a person and brings them up to date; what is left out stays, null is nothing', async t => {
  const id = randomUUID()
  const first = await as(host).put(`/users/${id.toUpperCase()}`, {
    display_name: ' Zoë\nQuint ',
    username: 'zoe',
    title: 'Engineer',
    department: 'Drives',
    avatar_url: 'https://example.com/zoe.png',
    email: 'zoe@example.com',
    role: 'moderator'
  })
  fits(t, first, 200, ROUTES.putUser.replies[200])
  t.match(first.body, {
    id,
    org_id: ada.org_id,
    display_name: 'Zoë Quint',
    username: 'zoe',
    title: 'Engineer',
    department: 'Drives',
    avatar_url: 'https://example.com/zoe.png',
    role: 'moderator'
  })
  const second = await as(host).put(`/users/${id}`, { name: 'Zoë Fox', title: null })
  fits(t, second, 200, ROUTES.putUser.replies[200])
  t.same(second.body, { ...first.body, display_name: 'Zoë Fox', title: null })
  t.same((await as(ada).get(`/users/${id}`)).body, second.body)
  t.match((await as(host).put(`/users/${await put('Bare Bones')}`, { name: 'Bare Bones' })).body, {
    username: 'Bare Bones',
    title: null,
    role: 'member'
  })
  t.equal((await as(ada).post(`/conversations/dm/${id}`)).status, 201, 'they can be written to before they ever came')
})

t.test('whom the host takes away is not found, written to or added, and stays in histories under their name', async t => {
  const dora = person({ name: 'Dora', org_id: ada.org_id })
  const id = await group(platform, ada, dora)
  await as(dora).post(`/conversations/${id}/messages`, { content: 'I was here' })
  const direct = (await as(ada).post(`/conversations/dm/${dora.id}`)).body.id
  for (const n of [1, 2]) {
    const { status, body } = await as(host).delete(`/users/${dora.id.toUpperCase()}`)
    t.same([status, body], [204, ''], `time ${n}`)
  }
  t.same(await find('dora'), [])
  isProblem(t, await as(ada).get(`/users/${dora.id}`), 404, 'user_not_found')
  isProblem(t, await as(ben).post(`/conversations/dm/${dora.id}`), 404, 'user_not_found')
  isProblem(t, await as(ben).post('/messages', { recipient_id: dora.id, content: 'hello' }), 404, 'user_not_found')
  isProblem(t, await as(ben).post('/conversations', { type: 'group', participant_ids: [dora.id] }), 404, 'user_not_found')
  const other = await group(platform, ada, ben)
  isProblem(t, await as(ada).post(`/conversations/${other}/participants`, { user_id: dora.id }), 404, 'user_not_found')
  const project = randomUUID()
  await as(host).put(`/projects/${project}`)
  isProblem(t, await as(host).put(`/projects/${project}/members/${dora.id}`), 404, 'user_not_found')

  const { body } = await as(ada).get(`/conversations/${id}/messages`)
  t.match(body.messages, [{ content: 'I was here', sender: { id: dora.id, display_name: 'Dora' } }])
  t.match((await as(ada).get(`/conversations/${direct}`)).body, { participant: { id: dora.id, display_name: 'Dora' } })

  t.match((await as(host).put(`/users/${dora.id}`, { display_name: 'Dora' })).body, { id: dora.id, username: 'dora' })
  t.same(await find('dora'), ['Dora'], 'the host has them back')
  t.equal((await as(dora).get(`/conversations/${id}`)).body.my.role, 'member', 'where they were, they are still')
})

t.test('a token from before its person was taken away lets nobody in, and one from after brings them back', async t => {
  const gil = person({ name: 'Gil', org_id: ada.org_id })
  const now = Math.floor(Date.now() / 1_000)
  const [before, undated, after] = [now - 60, undefined, now + 10].map(iat => platform.token(gil, { iat }))
  const withToken = (token: string) => client(platform.urls[0]!, token)
  const comesIn = async (token: string) => {
    const socket = openSocket(platform.urls[1]!, token)
    t.teardown(() => socket.kill())
    const isIn = await socket.ready.then(() => true).catch(() => false)
    return isIn ? 'in' : (await socket.closed).code
  }
  t.equal((await withToken(before!).get('/me')).status, 200)
  t.equal(await comesIn(before!), 'in')
  await as(host).delete(`/users/${gil.id}`)
  for (const token of [before!, undated!]) {
    await until(async () => (await withToken(token).get('/me')).status === 401, { what: 'the gateway has heard of it' })
    isProblem(t, await withToken(token).get('/me'), 401, 'unauthenticated')
    await until(async () => (await comesIn(token)) === 4001, { what: 'the other one as well' })
  }
  t.same(await find('gil'), [])
  t.equal(await comesIn(after!), 'in')
  t.same(await find('gil'), ['Gil'])
  t.equal((await withToken(before!).get('/me')).status, 200, 'who is back is back')
})

t.test('the sockets of whom the host takes away end, on every gateway, and nobody else’s', async t => {
  const emil = person({ name: 'Emil', org_id: ada.org_id })
  const sockets = [0, 1].map(gateway => openSocket(platform.urls[gateway]!, platform.token(emil)))
  for (const socket of sockets) t.teardown(() => socket.kill())
  await Promise.all(sockets.map(socket => socket.ready))
  const other = await platform.connect(t, ben)
  // A namesake of another organization: the same subject is another person there.
  const twin = await platform.connect(t, { ...emil, org_id: stranger.org_id })
  await as(host).delete(`/users/${emil.id}`)
  const codes: number[] = []
  for (const socket of sockets) void socket.closed.then(({ code }) => codes.push(code))
  await until(() => codes.length === 2, { what: 'both are closed' })
  t.same(codes, [4013, 4013])
  for (const socket of [other, twin]) {
    socket.send({ type: 'ping' })
    t.match(await socket.next('pong'), { type: 'pong' })
  }
})

t.test('nobody but the host application of the organization keeps its people in step', async t => {
  for (const who of roles) {
    isProblem(t, await as(who).put(`/users/${ben.id}`, { display_name: 'Mine' }), 403, 'forbidden', `PUT as ${who.role}`)
    isProblem(t, await as(who).delete(`/users/${ben.id}`), 403, 'forbidden', `DELETE as ${who.role}`)
    isProblem(t, await as(who).delete(`/users/${randomUUID()}`), 403, 'forbidden', `DELETE of nobody as ${who.role}`)
  }
  isProblem(t, await anyone.put(`/users/${ben.id}`, { display_name: 'Mine' }), 401, 'unauthenticated')
  isProblem(t, await anyone.delete(`/users/${ben.id}`), 401, 'unauthenticated')
  isProblem(t, await as(foreignHost).delete(`/users/${ben.id}`), 404, 'user_not_found')
  isProblem(t, await as(host).delete(`/users/${randomUUID()}`), 404, 'user_not_found')
  t.match((await as(foreignHost).put(`/users/${ben.id}`, { display_name: 'Mine' })).body, { org_id: stranger.org_id, display_name: 'Mine' })
  t.match((await as(ada).get(`/users/${ben.id}`)).body, { org_id: ada.org_id, display_name: 'Ben' }, 'who is another person there')
})

t.test('what breaks the contract is told field by field', async t => {
  const at = `/users/${randomUUID()}`
  isProblem(t, await as(host).put('/users/ada', { display_name: 'x' }), 400, 'invalid_id')
  isProblem(t, await as(host).delete('/users/ada'), 400, 'invalid_id')
  for (const body of [
    {},
    undefined,
    { username: 'x' },
    { display_name: '' },
    { display_name: ' \u200e ' },
    { display_name: 'x'.repeat(201) },
    { display_name: null },
    { display_name: 'x', role: 'king' },
    { display_name: 'x', title: 3 },
    { display_name: 'x', username: ' ' },
    { display_name: 'x', email: 'x'.repeat(321) }
  ])
    isProblem(t, await as(host).put(at, body), 400, 'invalid_request', JSON.stringify(body))
  t.match((await as(host).put(at, { username: 'x' })).body.errors, [{ path: '/display_name', message: 'is missing' }])
  isProblem(t, await as(host).put(at, { display_name: 'x', org_id: ada.org_id }), 400, 'unknown_field')
  isProblem(t, await as(host).put(at, { display_name: 'a\u0000b' }), 400, 'invalid_text')
  isProblem(t, await as(ada).get(at), 404, 'user_not_found', 'nobody was created')
  for (const query of ['limit=0', 'limit=101', 'limit=x', `q=${'x'.repeat(201)}`])
    isProblem(t, await as(ada).get(`/users?${query}`), 400, 'invalid_request', query)
  isProblem(t, await as(ada).get('/users?name=x'), 400, 'unknown_field')
  isProblem(t, await anyone.get('/users'), 401, 'unauthenticated')
})

t.test('people are found by parts of their names in every script, whatever accents are left out', async t => {
  const names = [
    'José García',
    'Jürgen Müller',
    'Joerg Mueller',
    'Anna Groß',
    "Seán O'Brien",
    'Łukasz Żółć',
    '김민지',
    '佐藤ゆき',
    'أَحْمَد علي',
    'Алёна Фёдорова',
    'Σίσυφος',
    'Jean-Luc Picard',
    'Under_score 100%'
  ]
  for (const name of names) await put(name, { username: `u${names.indexOf(name)}` })
  for (const [q, ...wanted] of [
    ['jose', 'José García'],
    ['JOSÉ', 'José García'],
    ['garcia jos', 'José García'],
    ['müller', 'Jürgen Müller', 'Joerg Mueller'],
    ['mueller', 'Joerg Mueller', 'Jürgen Müller'],
    ['muller', 'Jürgen Müller'],
    ['juergen', 'Jürgen Müller'],
    ['GROSS', 'Anna Groß'],
    ['groß', 'Anna Groß'],
    ['obrien', "Seán O'Brien"],
    ['o’brien', "Seán O'Brien"],
    ['zolc', 'Łukasz Żółć'],
    ['lukasz', 'Łukasz Żółć'],
    ['민지', '김민지'],
    ['김', '김민지'],
    ['기', '김민지'],
    ['佐藤', '佐藤ゆき'],
    ['ゆき', '佐藤ゆき'],
    ['احمد', 'أَحْمَد علي'],
    ['على', 'أَحْمَد علي'],
    ['федоров', 'Алёна Фёдорова'],
    ['АЛЕНА', 'Алёна Фёдорова'],
    ['ΣΙΣΥΦΟΣ', 'Σίσυφος'],
    ['ｊｏｓｅ', 'José García'],
    ['jean luc', 'Jean-Luc Picard'],
    ['picard, jean', 'Jean-Luc Picard'],
    ['100%', 'Under_score 100%'],
    ['u12', 'Under_score 100%'],
    ['%'.repeat(3)],
    ['jose muller'],
    ['\\'],
    ['.']
  ] as const)
    t.same([...(await find(q))].sort(), [...wanted].sort(), q)
})

t.test('those come first whose name begins with what is sought, then by name; blocking hides nobody', async t => {
  for (const name of ['Wilhelmina Tarq', 'Tarquin West', 'Abel Startarq', 'Tarq Éclair', 'Tarq Dent']) await put(name)
  const wanted = ['Tarq Dent', 'Tarq Éclair', 'Tarquin West', 'Abel Startarq', 'Wilhelmina Tarq']
  t.same(await find('tarq'), wanted)
  const { body } = await as(ada).get('/users?q=tarq&limit=4')
  fits(t, { ...(await as(ada).get('/users?q=tarq&limit=4')), body }, 200, ROUTES.listUsers.replies[200])
  t.same(
    body.users.map((user: { display_name: string }) => user.display_name),
    wanted.slice(0, 4)
  )
  await as(ada).put(`/users/${body.users[0].id}/block`)
  t.same(await find('tarq'), wanted)
  t.same((await as(stranger).get('/users?q=tarq')).body.users, [], 'nobody of another organization')
  t.same(await find(' '), await find(''))
})

t.test('among many thousand people one that few have in common is found past the beginning of the list, as one that all have', async t => {
  await platform.database.query(
    `insert into messaging.users (org_id, id, username, display_name)
     select $1, gen_random_uuid(), 'crowd' || n, 'Crowd ' || md5(n::text) from generate_series(1, 4000) n`,
    [cleo.org_id]
  )
  await put('Zuzanna Wqxyz')
  await until(async () => (await find('wqx')).length === 1)
  t.same(await find('wqx'), ['Zuzanna Wqxyz'])
  t.same(await find('anna wqx'), ['Zuzanna Wqxyz'])
  const all = await find('rowd')
  t.equal(all.length, 100)
  t.same(all, [...all].sort(), 'by name')
})
