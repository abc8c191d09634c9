import { type FinalResults, Parser, type Result } from 'tap-parser'
import { describeExit, type Exit } from './process.ts'
import { bold, green, red } from './report.ts'

/** Of what a test file says besides (its seed, an error of Node's), this much is told with its failures. */
const REMARKS_PER_FILE = 30
/** A value that differs in a thousand lines is not read. */
const LINES_PER_FAILURE = 60

/**
 * Tells what the tests say as TAP (https://testanything.org) the way people read it: a line for each file as it ends, and every
 * failure in full, once where it happens and once more at the end, where a log is looked at first.
 */
export class TestReport {
  passed = 0
  readonly failures: string[] = []
  readonly #print: (text: string) => void
  readonly #files: number
  #ended = 0

  /** @param files how many files there will be; those of a single one name each test that passed as well */
  constructor({ print, files }: { print: (text: string) => void; files: number }) {
    this.#print = print
    this.#files = files
  }

  follow(name: string): FollowedFile {
    const alone = this.#files === 1
    const file = new FileReport(name, remark => alone && this.#print(`        ${remark}\n`))
    const startedAt = performance.now()
    return {
      write: tap => file.write(tap),
      remark: text => file.remark(text),
      end: exit => {
        file.end(exit)
        this.passed += file.passed.length
        this.failures.push(...file.failures)
        const count = file.failures.length === 0 ? `${file.passed.length}` : `${file.passed.length}, ${file.failures.length} failed`
        const place = `${++this.#ended}/${this.#files}`.padStart(7)
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
        if (alone) for (const title of file.titles) this.#print(`        ${green('•')} ${title}\n`)
        this.#print(`${place} ${file.failures.length === 0 ? green('•') : red('!')} ${name.padEnd(60)} ${count} in ${seconds} s\n`)
        for (const failure of file.failures) this.#print(failure)
      }
    }
  }

  end(): void {
    if (this.failures.length === 0 || this.#files === 1) return
    this.#print(`\n${bold(`${this.failures.length} failed`)}\n`)
    for (const failure of this.failures) this.#print(failure)
  }
}

interface FollowedFile {
  write(tap: string): void
  /** Takes what it says elsewhere. */
  remark(text: string): void
  end(exit: Exit): void
}

class FileReport {
  /** Names of the checks that held. */
  readonly passed: string[] = []
  /** Names of the tests that passed. */
  readonly titles: string[] = []
  readonly failures: string[] = []
  readonly #name: string
  readonly #tap = new Parser()
  readonly #onRemark: (remark: string) => void
  readonly #remarks: string[] = []

  constructor(name: string, onRemark: (remark: string) => void) {
    this.#name = name
    this.#onRemark = onRemark
    this.#follow(this.#tap, [name])
    this.#tap.on('bailout', (reason: string) => this.#fail([name], reason))
    this.#tap.on('extra', (text: string) => this.remark(text))
  }

  write(tap: string): void {
    this.#tap.write(tap)
  }

  remark(text: string): void {
    for (const line of text.trimEnd().split('\n')) {
      this.#remarks.push(line)
      this.#onRemark(line)
    }
    this.#remarks.splice(0, this.#remarks.length - REMARKS_PER_FILE)
  }

  /** A file whose tests failed ends with 1; what ends otherwise, or has said nothing, did not get to its tests or through them. */
  end(exit: Exit): void {
    this.#tap.end()
    const isTold = exit.code === 1 ? this.failures.length > 0 : exit.code === 0 && this.passed.length + this.failures.length > 0
    if (!isTold) this.#fail([this.#name], `ended with ${describeExit(exit)} before it was through`)
  }

  #follow(test: Parser, path: string[]): void {
    let failedBelow = 0
    test.on('comment', (text: string) => {
      if (!/^# (Subtest|time=|\{ total)/.test(text)) this.remark(text)
    })
    test.on('child', (child: Parser) => {
      const before = this.failures.length
      this.#follow(child, [...path, child.name])
      child.on('complete', () => {
        failedBelow = this.failures.length - before
      })
    })
    test.on('assert', (result: Result) => {
      if (result.ok) (result.closingTestPoint ? this.titles : this.passed).push(result.name)
      // A test that failed by what is in it has been told already.
      else if (!result.closingTestPoint || failedBelow === 0) this.#fail([...path, result.name], detailsOf(result))
      failedBelow = 0
    })
    test.on('complete', ({ failures }: FinalResults) => {
      for (const { tapError } of failures) if (tapError) this.#fail(path, tapError)
    })
  }

  #fail(path: string[], details: string): void {
    const remarks = this.failures.length === 0 ? this.#remarks : []
    const lines = [...details.split('\n').filter(Boolean), ...remarks].map(line => `    ${line}\n`)
    this.failures.push(`\n${red('!')} ${bold(path.join(' › '))}\n${lines.join('')}`)
  }
}

function detailsOf({ diag }: Result): string {
  if (!diag) return ''
  const { diff, at, stack, source, ...others } = diag
  const lines: string[] = []
  if (at?.fileName) lines.push(`at ${at.fileName}:${at.lineNumber}:${at.columnNumber}`)
  else if (stack) lines.push(...stack.trimEnd().split('\n'))
  if (diff) lines.push(...diff.trimEnd().split('\n'))
  else for (const [name, value] of Object.entries(others)) lines.push(...`${name}: ${textOf(value)}`.split('\n'))
  if (source) lines.push(...source.trimEnd().split('\n'))
  if (lines.length > LINES_PER_FAILURE) lines.splice(LINES_PER_FAILURE, Infinity, `… ${lines.length - LINES_PER_FAILURE} lines more`)
  return lines.join('\n')
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value.trimEnd() : JSON.stringify(value, undefined, 2))
