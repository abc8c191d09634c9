import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { failOnLeftovers, freshDatabase, startTestNats, until } from '@parley/test-kit'
import { connect } from 'nats'
import t from 'tap'
import { ensureStreams } from '../src/index.ts'
import { type CounterOptions, createCounting, effectsOf, line, publish, runCounter } from './counter.ts'

failOnLeftovers(t)

const COMMAND = fileURLToPath(new URL('../../../deploy/local/src/dead-letters.ts', import.meta.url))

const [nats, database] = await Promise.all([startTestNats(t), freshDatabase(t)])
await createCounting(database)
const connection = await connect({ servers: nats.url })
t.teardown(() => connection.close())
await ensureStreams(connection)

/** The command as an operator runs it. */
const deadLetters = (...args: string[]) =>
  new Promise<{ code: number; out: string; err: string }>(resolve => {
    execFile(process.execPath, [COMMAND, ...args], { env: { PATH: process.env.PATH, DATABASE_URL: database.url } }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err })
    )
  })

t.test('an operator lists letters, looks at one, replays it once the cause is mended, and drops what is worth nothing', async t => {
  t.match(await deadLetters('list'), { code: 0, out: 'No dead letters.\n' })

  let isMended = false
  const before: CounterOptions['before'] = fresh => {
    if (!isMended && fresh.some(({ version }) => version === 2)) throw new Error('a column is missing')
  }
  const a = randomUUID()
  const run = (name: string, how?: CounterOptions['before']) =>
    runCounter(t, { natsUrl: nats.url, databaseUrl: database.url, name, ...(how && { before: how }) })
  const broken = await run('broken', before)
  await run('sound')
  await publish(connection, [line(a, 1), line(a, 2, 'a secret of theirs'), '{"type":'].join('\n'))
  await until(async () => (await deadLetters('list', '--consumer', 'broken')).out.trim().split('\n').length === 3, { timeoutMs: 30_000 })

  const { out } = await deadLetters('list')
  t.match(out, /^n +consumer +reason +event +tries +first +last/)
  t.match(out, new RegExp(`broken +failed +${a} version 2 +4 `))
  t.match(out, /broken +invalid_json +8 bytes/)
  t.match(out, /sound +invalid_json/)
  const numberOf = (pattern: RegExp) =>
    out
      .split('\n')
      .find(text => pattern.test(text))!
      .split(' ')[0]!
  const failed = numberOf(/broken +failed/)

  const shown = await deadLetters('show', failed)
  t.match(shown, { code: 0, err: '' })
  t.match(shown.out, /error +Error: a column is missing/)
  t.notMatch(shown.out, /a secret of theirs|\n +at /)
  t.match((await deadLetters('show', failed, '--content')).out, /a secret of theirs/)

  const early = await deadLetters('replay', failed)
  t.match(early, { code: 1, out: /failed again: Error: a column is missing/ })

  isMended = true
  t.match(await deadLetters('replay', failed), { code: 0, out: /is applied by broken/ })
  t.same((await effectsOf(database, 'broken')).orders.get(a), [1, 2])
  t.same((await effectsOf(database, 'sound')).orders.get(a), [1, 2], 'the other consumer has it once')
  t.equal(await broken.metric('consumer_failures_total'), 3)

  t.match(await deadLetters('drop', '--all', '--consumer', 'broken'), { code: 0, out: /of broken is dropped/ })
  t.match(await deadLetters('drop', numberOf(/sound +invalid_json/)), { code: 0 })
  t.match(await deadLetters('list'), { out: 'No dead letters.\n' })
})

t.test('a letter whose consumer does not run waits, and the command says so', async t => {
  await database.query(`insert into counting.dead_letters
      (consumer, key, reason, error, subject, stream, stream_seq, published_at, first_failed_at, deliveries, payload)
    values ('nobody', 'k', 'failed', 'Error', 'log.changes', 'EVT', 1, now(), now(), 1, convert_to(E'\\x1b]0;x', 'utf8'))`)
  const number = (await deadLetters('list')).out.trim().split('\n')[1]!.split(' ')[0]!
  t.notMatch((await deadLetters('show', number, '--content')).out, /\u001b/, 'and nothing of it commands the terminal')
  t.match(await deadLetters('replay', number), { code: 1, out: /no process of nobody has taken it up/ })
  t.match((await deadLetters('list')).out, /asked for/)
})
