import { setTimeout as delay } from 'node:timers/promises'
import { type Found, type Letter, LetterBox } from './letter-box.ts'
import { report } from './report.ts'
import { Refusal } from './settings.ts'

const HELP = `Events that a consumer could not apply, kept until somebody looks.

  npm run dead-letters -- list [--consumer X]          what there is, the oldest first
  npm run dead-letters -- show N [--content]           one of them; --content shows what people wrote as well
  npm run dead-letters -- replay N …                   try again, for that consumer alone
  npm run dead-letters -- replay --all --consumer X
  npm run dead-letters -- drop N …                     forget for ever: its effect will be missing
  npm run dead-letters -- drop --all --consumer X

A replay is taken up by a running process of the consumer, and has its effect once, however often it is asked for. What
fails again stays. Mend the cause first: "show" says what it failed of.

The database is that of DATABASE_URL, or of the Parley that runs on PARLEY_DATA_DIR (.parley).
`

const COMMANDS = ['list', 'show', 'replay', 'drop']
/** A consumer looks every two seconds. */
const OUTCOME_MS = 10_000
const SHOWN_MAX = 200
const SHOWN_MAX_CHARACTERS = 100_000

interface Wish {
  command: string
  ids: number[]
  consumer: string | undefined
  all: boolean
  content: boolean
}

try {
  const wish = readWish(process.argv.slice(2))
  if (wish) await fulfil(wish)
  else process.stdout.write(HELP)
} catch (error) {
  report.error(error instanceof Refusal ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.exitCode = 1
}

/** @returns nothing where help is asked for */
function readWish(args: string[]): Wish | undefined {
  const [command = 'help', ...rest] = args
  if (['help', '--help', '-h'].includes(command)) return undefined
  if (!COMMANDS.includes(command)) throw new Refusal(`unknown command ${command}: there are ${COMMANDS.join(', ')} and help`)
  const wish: Wish = { command, ids: [], consumer: undefined, all: false, content: false }
  for (let index = 0; index < rest.length; index++) {
    const arg = rest[index]!
    if (arg === '--all') wish.all = true
    else if (arg === '--content') wish.content = true
    else if (arg === '--consumer') {
      wish.consumer = rest[++index]
      if (!wish.consumer) throw new Refusal('--consumer takes a name, such as stats-aggregator')
    } else if (/^\d{1,15}$/.test(arg)) wish.ids.push(Number(arg))
    else throw new Refusal(`unknown argument ${arg}: a letter is named by its number, as "list" shows it`)
  }
  if (command === 'show' && wish.ids.length !== 1) throw new Refusal('show takes the number of one letter')
  if (command !== 'list' && command !== 'show') {
    if (wish.all && wish.ids.length > 0) throw new Refusal(`${command} takes numbers or --all, not both`)
    if (wish.all && !wish.consumer) throw new Refusal(`${command} --all needs --consumer X: all letters of all consumers is never meant`)
    if (!wish.all && wish.ids.length === 0) throw new Refusal(`${command} takes the numbers of letters, or --all --consumer X`)
  }
  return wish
}

async function fulfil(wish: Wish): Promise<void> {
  const box = await LetterBox.open(process.env)
  try {
    const letters = await box.letters(wish.consumer)
    if (wish.command === 'list') return list(letters)
    const chosen = wish.all ? letters : wish.ids.map(id => choose(letters, id))
    if (wish.command === 'show') show((await box.read(chosen[0]!))!, wish.content)
    else if (wish.command === 'drop') for (const letter of chosen) await drop(box, letter)
    else await replay(box, chosen)
    if (chosen.length === 0) process.stdout.write(`${wish.consumer} has no dead letters.\n`)
  } finally {
    await box.close()
  }
}

function choose(letters: Found[], id: number): Found {
  const [letter, ...more] = letters.filter(one => one.id === id)
  if (!letter) throw new Refusal(`there is no letter ${id}: see "npm run dead-letters -- list"`)
  if (more.length > 0) {
    throw new Refusal(`letter ${id} is there for ${[letter, ...more].map(one => one.consumer).join(' and ')}: add --consumer X`)
  }
  return letter
}

function list(letters: Found[]): void {
  if (letters.length === 0) return void process.stdout.write('No dead letters.\n')
  const rows = letters.slice(0, SHOWN_MAX).map(one => ({
    n: `${one.id}`,
    consumer: one.consumer,
    reason: one.reason,
    event: one.key.includes(':') ? one.key.replace(':', ' version ') : `${one.bytes} bytes`,
    tries: `${one.deliveries}`,
    first: time(one.first_failed_at),
    last: time(one.last_failed_at),
    replay: one.replay_requested_at ? 'asked for' : one.replays > 0 ? `failed ${one.replays} times` : ''
  }))
  const names = Object.keys(rows[0]!) as (keyof (typeof rows)[number])[]
  const widths = names.map(name => Math.max(name.length, ...rows.map(row => row[name].length)))
  const say = (cells: string[]) =>
    process.stdout.write(
      `${cells
        .map((cell, at) => cell.padEnd(widths[at]!))
        .join('  ')
        .trimEnd()}\n`
    )
  say(names)
  for (const row of rows) say(names.map(name => row[name]))
  if (letters.length > SHOWN_MAX) process.stdout.write(`… and ${letters.length - SHOWN_MAX} more\n`)
}

function show(letter: Letter, withContent: boolean): void {
  const { payload, ...facts } = letter
  for (const [name, value] of Object.entries(facts)) {
    process.stdout.write(`${`${name}`.padEnd(20)} ${value instanceof Date ? time(value) : value}\n`)
  }
  const text = payload.toString()
  let shown = withContent ? text : `${payload.length} bytes that are no JSON; --content shows them`
  try {
    shown = JSON.stringify(JSON.parse(text), withContent ? undefined : hidden, 2)
  } catch {
    // What is no JSON is shown as it is, or not at all.
  }
  process.stdout.write(`\n${printable(shown)}\n`)
}

/** What people wrote is theirs: an operator sees that it is there, and how long it is. */
function hidden(name: string, value: unknown): unknown {
  return ['content', 'metadata'].includes(name) && value !== '' ? `(${JSON.stringify(value).length} bytes, --content shows them)` : value
}

/** Nothing of a payload reaches the terminal as a command to it. */
function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '�').slice(0, SHOWN_MAX_CHARACTERS)
}

async function drop(box: LetterBox, letter: Found): Promise<void> {
  await box.drop(letter)
  report.done(`letter ${letter.id}`, `of ${letter.consumer} is dropped`)
}

async function replay(box: LetterBox, letters: Found[]): Promise<void> {
  for (const letter of letters) await box.askForReplay(letter)
  const deadline = Date.now() + OUTCOME_MS
  let open = letters
  while (open.length > 0 && Date.now() < deadline) {
    await delay(250)
    const still: Found[] = []
    for (const letter of open) {
      const now = await box.read(letter)
      if (!now) report.done(`letter ${letter.id}`, `is applied by ${letter.consumer}`)
      else if (now.replay_requested_at) still.push(letter)
      else {
        report.trouble(`letter ${letter.id}`, `failed again: ${now.error}`)
        process.exitCode = 1
      }
    }
    open = still
  }
  if (open.length === 0) return
  const [{ consumer }] = open as [Found]
  report.trouble(`${open.length} waiting`, `no process of ${consumer} has taken it up; it is replayed as soon as one runs`)
  process.exitCode = 1
}

function time(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace('T', ' ')}Z`
}
