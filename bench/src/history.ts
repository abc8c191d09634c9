import type pg from 'pg'

/** Rows of one statement: large enough that a commit costs nothing, small enough to be told of. */
const CHUNK = 250_000

export const PEOPLE = 1_000
const CONVERSATIONS = 1_000
/** So many people in a conversation, and, there being as many people as conversations, so many conversations of a person. */
export const PEOPLE_EACH = 11
/** How far apart by number the people of a conversation are. */
const STRIDE = 91
/** The conversation that has a tenth of all messages. */
export const LARGEST = 0
/** The one in it who has never read anything. */
export const NEVER_READ = STRIDE * (PEOPLE_EACH - 1)
/** Others have read to within so many of the end. */
const UNREAD_MAX = 200

const ORG = '00000000-0000-7000-8000-000000000000'
const PERSON = '00000000-0000-7000-8001-'
const CONVERSATION = '00000000-0000-7000-8002-'

const idOf = (prefix: string, n: number): string => prefix + n.toString(16).padStart(12, '0')
export const conversationId = (n: number): string => idOf(CONVERSATION, n)
export const actorAt = (n: number) => ({ user_id: idOf(PERSON, n), org_id: ORG, role: 'member' as const })
/** Somebody of the largest conversation who reads it. */
export const readerAt = (n: number) => actorAt(STRIDE * (n % (PEOPLE_EACH - 1)))

const sqlId = (prefix: string, n: string): string => `('${prefix}' || lpad(to_hex(${n}), 12, '0'))::uuid`

/** Makes the people and the conversations, without a message. */
export async function makeHistory(database: pg.Client): Promise<void> {
  await database.query('set search_path = messaging')
  await database.query(`insert into organizations (id, name) values ('${ORG}', 'Example')`)
  await database.query(`
    insert into users (org_id, id, username, display_name)
    select '${ORG}', ${sqlId(PERSON, 'n')}, 'person.' || n, 'Person ' || n from generate_series(0, ${PEOPLE - 1}) n`)
  await database.query(`
    insert into conversations (id, org_id, type, title, created_by, participant_count, created_at, updated_at)
    select ${sqlId(CONVERSATION, 'n')}, '${ORG}', 'group', 'Conversation ' || n, ${sqlId(PERSON, 'n')}, ${PEOPLE_EACH}, now() - interval '300 days', now()
    from generate_series(0, ${CONVERSATIONS - 1}) n`)
  await database.query(`
    insert into participants (conversation_id, user_id, org_id, joined_at)
    select ${sqlId(CONVERSATION, 'c')}, ${sqlId(PERSON, `(c + ${STRIDE} * place) % ${PEOPLE}`)}, '${ORG}', now() - interval '300 days'
    from generate_series(0, ${CONVERSATIONS - 1}) c, generate_series(0, ${PEOPLE_EACH - 1}) place`)
}

/** What message `n` says, in SQL. */
const PLAIN_CONTENT = "'what one says in message ' || n || ' of all: ' || repeat(md5(n::text), 2)"

/**
 * Adds messages until there are `to`, in the order in which they would have been written: every tenth in the largest
 * conversation, the others in turn in all the rest; one of a hundred is deleted. Then brings counters and read positions up
 * to date, and the tables into the state in which the server itself keeps them.
 */
export async function growHistory(
  database: pg.Client,
  from: number,
  to: number,
  say: (text: string) => void,
  content = PLAIN_CONTENT
): Promise<void> {
  const startedAt = performance.now()
  for (let at = from; at < to; at += CHUNK) {
    const end = Math.min(to, at + CHUNK)
    await database.query(`
      insert into messages
        (conversation_id, seq, id, version, org_id, sender_id, content, client_message_id, created_at, updated_at, deleted_at, deleted_by)
      select ${sqlId(CONVERSATION, 'c')}, seq, uuidv7(written - clock_timestamp()), seq + 1, '${ORG}', sender,
        ${content}, gen_random_uuid()::text, written, written,
        case when is_deleted then written end, case when is_deleted then sender end
      from (
        select n, c, seq, now() - interval '290 days' + n * interval '2.5 s' as written, (n / 10) % 100 = 7 as is_deleted,
          ${sqlId(PERSON, `(c + ${STRIDE} * (seq % ${PEOPLE_EACH})) % ${PEOPLE}`)} as sender
        from (
          select n, case when n % 10 = 0 then ${LARGEST} else 1 + (n - n / 10 - 1) % ${CONVERSATIONS - 1} end as c,
            case when n % 10 = 0 then n / 10 + 1 else (n - n / 10 - 1) / ${CONVERSATIONS - 1} + 1 end as seq
          from generate_series(${at}, ${end - 1}) n
        ) numbered
      ) told
      order by n`)
  }
  await database.query(`
    update conversations c set last_seq = m.seq, version = m.version, last_message_id = m.id, last_message_at = m.created_at, updated_at = m.created_at
    from (select id, (select max(seq) from messages where conversation_id = conversations.id) as seq from conversations) last
    join messages m on m.conversation_id = last.id and m.seq = last.seq
    where c.id = last.id`)
  await database.query(`
    update participants p set last_read_seq = greatest(0, c.last_seq - (hashtext(p.user_id::text) & 1023) % ${UNREAD_MAX}), last_read_at = now()
    from conversations c
    where c.id = p.conversation_id and not (c.id = '${conversationId(LARGEST)}' and p.user_id = '${actorAt(NEVER_READ).user_id}')`)
  await database.query('vacuum (analyze) messages')
  await database.query('vacuum (analyze) conversations, participants, users')
  await database.query('checkpoint')
  const { rows } = await database.query(
    `select pg_size_pretty(pg_table_size('messages')) as data, pg_size_pretty(pg_indexes_size('messages')) as indexes`
  )
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  say(
    `${to.toLocaleString('en')} messages: ${rows[0].data}, indexes ${rows[0].indexes}; the last ${(to - from).toLocaleString('en')} took ${seconds} s`
  )
}
