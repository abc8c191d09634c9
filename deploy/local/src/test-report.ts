import { Parser, type Result } from 'tap-parser'
import { bold, green, red } from './report.ts'

/** Of what a test file says in comments (its seed, say), this much is told with its failures. */
const COMMENTS_PER_FILE = 30
/** A value that differs in a thousand lines is not read. */
const LINES_PER_FAILURE = 60

/** One test file, while it runs. */
interface Told {
  comments: string[]
  passed: number
  failures: string[]
}

/**
 * Tells what the tests say as TAP (https://testanything.org) the way people read it: a line for each file as it ends, and every
 * failure in full, once where it happens and once more at the end, where a log is looked at first.
 */
export class TestReport {
  passed = 0
  readonly failures: string[] = []
  readonly #tap = new Parser()
  readonly #print: (text: string) => void
  readonly #names: boolean
  #files = 0
  #ended = 0

  /** @param names whether each passed test is named as well: wanted by who works on a few files */
  constructor({ print, names }: { print: (text: string) => void; names: boolean }) {
    this.#print = print
    this.#names = names
    this.#tap.on('plan', ({ end }: { end: number }) => {
      this.#files = end
    })
    this.#tap.on('child', file => this.#followFile(file))
    this.#tap.on('bailout', (reason: string) => this.#fail({ comments: [], passed: 0, failures: [] }, reason, ''))
  }

  write(tap: string): void {
    this.#tap.write(tap)
  }

  end(): void {
    this.#tap.end()
    if (this.failures.length === 0 || this.#files === 1) return
    this.#print(`\n${bold(`${this.failures.length} failed`)}\n`)
    for (const failure of this.failures) this.#print(failure)
  }

  #followFile(file: Parser): void {
    const told: Told = { comments: [], passed: 0, failures: [] }
    const startedAt = performance.now()
    this.#follow(file, [file.name], told)
    file.on('complete', () => {
      this.#ended++
      const seconds = ((file.time ?? performance.now() - startedAt) / 1000).toFixed(1)
      const mark = told.failures.length === 0 ? green('•') : red('!')
      const many = told.failures.length === 0 ? `${told.passed}` : `${told.passed}, ${told.failures.length} failed`
      const place = `${this.#ended}/${this.#files}`.padStart(7)
      this.#print(`${place} ${mark} ${file.name.padEnd(60)} ${many} in ${seconds} s\n`)
      for (const failure of told.failures) this.#print(failure)
    })
  }

  #follow(test: Parser, path: string[], told: Told): void {
    let below = 0
    test.on('comment', (text: string) => {
      if (!/^# (Subtest|time=)/.test(text)) told.comments.push(text.trim())
      if (told.comments.length > COMMENTS_PER_FILE) told.comments.shift()
    })
    test.on('child', (child: Parser) => {
      const before = told.failures.length
      this.#follow(child, [...path, child.name], told)
      child.on('complete', () => {
        below = told.failures.length - before
      })
    })
    test.on('assert', (result: Result) => {
      if (result.ok && !result.closingTestPoint) {
        told.passed++
        this.passed++
      }
      if (result.ok && result.closingTestPoint && this.#names) this.#print(`${'  '.repeat(path.length)}${green('•')} ${result.name}\n`)
      // A test that failed by what is in it has been told already.
      if (!result.ok && !(result.closingTestPoint && below > 0)) this.#fail(told, [...path, result.name].join(' › '), detailsOf(result))
      below = 0
    })
  }

  #fail(told: Told, title: string, details: string): void {
    const said = told.failures.length === 0 ? told.comments.map(comment => `    ${comment}\n`).join('') : ''
    const failure = `\n${red('!')} ${bold(title)}\n${details}${said}`
    told.failures.push(failure)
    this.failures.push(failure)
  }
}

function detailsOf({ diag }: Result): string {
  if (!diag) return ''
  const { diff, at, stack, source, ...others } = diag
  const place = at?.fileName ? `${at.fileName}:${at.lineNumber}:${at.columnNumber}` : undefined
  const lines: string[] = []
  if (place) lines.push(`at ${place}`)
  if (diff) lines.push(...String(diff).trimEnd().split('\n'))
  else for (const [name, value] of Object.entries(others)) lines.push(...`${name}: ${textOf(value)}`.split('\n'))
  if (stack && !place) lines.push(...String(stack).trimEnd().split('\n'))
  if (source) lines.push(...String(source).trimEnd().split('\n'))
  const shown = lines.slice(0, LINES_PER_FAILURE)
  if (lines.length > shown.length) shown.push(`… ${lines.length - shown.length} lines more`)
  return shown.map(line => `    ${line}\n`).join('')
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value.trimEnd() : JSON.stringify(value, undefined, 2))
