import pg from 'pg'
import { lexemesOf } from '../../services/message-store/src/search/lexemes.ts'

const CHUNK = 5_000
const NOTHING = '00000000-0000-0000-0000-000000000000'

interface Row {
  id: string
  conversation_id: string
  seq: string
  org_id: string
  version: string
  sender_id: string
  content: string
  content_type: string
}

/** Puts a history into the search index, as the store would with the same lexemes, but in bulk: the lists are made at the end. */
export async function indexHistory(database: pg.Client, say: (text: string) => void): Promise<void> {
  const startedAt = performance.now()
  const {
    rows: [index]
  } = await database.query<{ definition: string }>("select pg_get_indexdef('message_search_lexemes'::regclass) as definition")
  await database.query('drop index message_search_lexemes')
  // Two halves at once: the lexemes are made here while the other half's are stored.
  const { rows: places } = await database.query<{ id: string }>(
    `(select id from messages order by id offset (select count(*) / 2 from messages) limit 1) union all (select id from messages order by id desc limit 1)`
  )
  const [middle, last] = places.map(({ id }) => id)
  const { host, port, user, password, database: name } = database
  const second = new pg.Client({ host, port, user: user!, password: password!, database: name! })
  await second.connect()
  await second.query('set search_path = messaging')
  await Promise.all([indexBetween(database, NOTHING, middle!), indexBetween(second, middle!, last!)])
  await second.end()
  await database.query("set maintenance_work_mem = '1GB'")
  await database.query(index!.definition)
  await database.query('insert into search_progress (conversation_id, seq) select id, last_seq from conversations')
  await database.query('update search_worker set seen_id = $1', [last])
  await database.query('vacuum (analyze) message_search')
  await database.query('checkpoint')
  const { rows } = await database.query(
    `select pg_size_pretty(pg_table_size('message_search')) as data, pg_size_pretty(pg_relation_size('message_search_lexemes')) as gin,
       pg_size_pretty(pg_relation_size('message_search_pkey')) as key`
  )
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  say(`indexed in ${seconds} s: table ${rows[0].data}, lexemes ${rows[0].gin}, key ${rows[0].key}`)
}

/** All messages after one, up to another. */
async function indexBetween(database: pg.Client, from: string, until: string): Promise<void> {
  for (let after = from; ; ) {
    const { rows } = await database.query<Row>({
      name: 'bench_next',
      text: `select id, conversation_id, seq, org_id, version, sender_id, content, content_type from messages
        where id > $1 and id <= $2 and deleted_at is null order by id limit ${CHUNK}`,
      values: [after, until]
    })
    if (rows.length === 0) return
    after = rows.at(-1)!.id
    await database.query({
      name: 'bench_index',
      text: `insert into message_search (message_id, conversation_id, seq, org_id, version, lexemes)
        select id, c, seq, org, version, array_to_tsvector(string_to_array(lexemes, ' '))
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[]) as x (id, c, seq, org, version, lexemes)`,
      values: [
        rows.map(row => row.id),
        rows.map(row => row.conversation_id),
        rows.map(row => row.seq),
        rows.map(row => row.org_id),
        rows.map(row => row.version),
        rows.map(row => [...lexemesOf(row)].join(' '))
      ]
    })
  }
}
