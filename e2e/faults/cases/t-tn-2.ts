import type { Person } from '@parley/test-kit'
import pg from 'pg'
import { Rest } from '../client/rest.ts'
import type { FaultCase, Trial } from '../trial.ts'

const FULL = 60
const SHORT = 8
const ANSWER_MS = 20_000
/** Of the settings that a session may have when it is nobody's turn. */
const SETTINGS = `select nullif(current_setting('app.org_id', true), '') as org_id`

export const poolReuse: FaultCase = {
  id: 'T-TN-2',
  title:
    'the query of a transaction that has set its organization is cancelled, or its connection killed; the pool goes on with the next one',
  pass: 'each person sees their own organization alone, and the same check finds a setting that outlives its transaction',
  async run(trial) {
    const people = peopleOfEach(trial)
    const rest = new Rest()
    trial.scope.teardown(() => rest.close())
    const done = { pg_cancel_backend: 0, pg_terminate_backend: 0 }
    for (let n = 0; n < trial.times(FULL, SHORT); n++) {
      const how = n % 2 === 0 ? 'pg_cancel_backend' : 'pg_terminate_backend'
      await trial.strike(how, {
        async down() {
          done[how] += await strikeTransaction(trial, how)
        }
      })
      await lookAround(trial, rest, people)
    }
    rest.close()
    trial.measured.set('queries cancelled in a transaction', `${done.pg_cancel_backend}`)
    trial.measured.set('connections killed in a transaction', `${done.pg_terminate_backend}`)
    trial.measured.set('a setting for the session is found (the control)', `${await findSessionSetting(trial)} of 50 queries`)
  }
}

function peopleOfEach({ world }: Trial): Person[] {
  return [...new Map(world.readers.map(reader => [reader.org_id, reader])).values()]
}

/** Meets a connection that answers people while its transaction is open: its organization is set. */
async function strikeTransaction(trial: Trial, how: string): Promise<number> {
  const deadline = performance.now() + 20_000
  while (performance.now() < deadline) {
    // In one statement: between looking and striking the transaction would be over.
    const struck = await trial.platform.database.query(
      `select ${how}(pid) from (
         select pid from pg_stat_activity
         where datname = current_database() and application_name like 'message-store%' and xact_start is not null
           and state in ('active', 'idle in transaction') and query not like '%send_batch%' and query not like 'set_config%'
         order by xact_start limit 1) a`
    )
    if (struck.length > 0) return 1
  }
  trial.expect(false, 'no transaction was met within 20 s')
  return 0
}

/** Everybody at once, so that the connections go from one organization to the next. */
async function lookAround(trial: Trial, rest: Rest, people: readonly Person[]): Promise<void> {
  const { platform, world } = trial
  const looks = Array.from({ length: 4 }, (_, n) => n).flatMap(n =>
    people.map(async who => {
      const others = people.filter(({ org_id }) => org_id !== who.org_id)
      const get = (path: string) =>
        rest.ask(platform.urls[n % platform.urls.length]!, platform.token(who), 'GET', path, undefined, ANSWER_MS)
      const foreign = world.conversationsOf(others[0]!.org_id)[0]!
      const [list, users, strange] = await Promise.all([
        get('/conversations?page_size=50'),
        get('/users?limit=100'),
        get(`/conversations/${foreign}`)
      ])
      const text = JSON.stringify([list.body, users.body, strange.body])
      for (const { org_id } of others) {
        trial.expect(!text.includes(world.markOf(org_id)), `${who.name} was told of another organization: ${text.slice(0, 200)}`)
      }
      trial.expect(strange.status === 404 || strange.status === 503, `a foreign conversation was answered ${strange.status}`)
      const seen = list.status === 200 ? ids(list.body.conversations) : undefined
      const own = ids(world.cast.conversations.filter(({ members }) => members.includes(who.id)))
      trial.expect(seen === undefined || `${seen}` === `${own}`, `${who.name} saw ${seen?.length} conversations, and is in ${own.length}`)
    })
  )
  await Promise.all(looks)
}

const ids = (conversations: readonly { id: string }[]): string[] => conversations.map(({ id }) => id).sort()

/** How many later queries see what one has set for its session instead of its transaction; with that, the check above has teeth. */
async function findSessionSetting(trial: Trial): Promise<number> {
  const pool = new pg.Pool({
    connectionString: trial.platform.postgres.url,
    max: 1,
    options: '-c role=parley_app -c search_path=messaging'
  })
  try {
    const [one, other] = peopleOfEach(trial)
    const see = async () => {
      const { rows } = await pool.query<{ id: string }>('select id from conversations')
      return rows.map(({ id }) => id)
    }
    const local = await pool.connect()
    await local.query('begin')
    await local.query(`select set_config('app.org_id', $1, true)`, [one!.org_id])
    await local.query('select 1 / 0').catch(() => {})
    await local.query('rollback')
    local.release()
    const after = await pool.query(SETTINGS)
    trial.expect(after.rows[0].org_id === null && (await see()).length === 0, 'a setting of a transaction outlived it')

    await pool.query(`select set_config('app.org_id', $1, false)`, [other!.org_id])
    let leaks = 0
    for (let n = 0; n < 50; n++) if ((await see()).length > 0) leaks++
    trial.expect(leaks === 50, `a setting for the session was seen by ${leaks} of 50 queries: the check finds nothing`)
    return leaks
  } finally {
    await pool.end()
  }
}
