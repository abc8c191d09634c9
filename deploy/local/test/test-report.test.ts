import t from 'tap'
import { TestReport } from '../src/test-report.ts'

const DONE = { code: 0, signal: null }
const FAILED = { code: 1, signal: null }

/** What is printed of files that say this TAP and end so. */
function tell(...files: { tap: string; exit: { code: number | null; signal: NodeJS.Signals | null }; remark?: string }[]) {
  let text = ''
  const report = new TestReport({ print: more => (text += more), files: files.length })
  for (const [index, { tap, exit, remark }] of files.entries()) {
    const file = report.follow(`test/${index + 1}.test.ts`)
    file.write(tap)
    if (remark) file.remark(remark)
    file.end(exit)
  }
  report.end()
  return { passed: report.passed, failures: report.failures, text }
}

const PASSES = `TAP version 14
# Subtest: holds
    ok 1 - one
    ok 2 - two
    1..2
ok 1 - holds # time=4.1ms
1..1
`

const FAILS = `TAP version 14
# Subtest: outer
    # seed 4711
    # Subtest: inner
        not ok 1 - is two
          ---
          diff: |
            -2
            +1
          at:
            fileName: test/x.test.ts
            lineNumber: 3
            columnNumber: 7
          ...
        1..1
        # failed 1 test
    not ok 1 - inner # time=1ms
    1..1
    # failed 1 test
not ok 1 - outer # time=2ms
1..1
# failed 1 test
`

t.test('what held is counted, and one file names its tests', async t => {
  const one = tell({ tap: PASSES, exit: DONE })
  t.equal(one.passed, 2)
  t.same(one.failures, [])
  t.match(one.text, /• holds\n +1\/1 • test\/1\.test\.ts +2 in [\d.]+ s\n$/)

  const two = tell({ tap: PASSES, exit: DONE }, { tap: PASSES, exit: DONE })
  t.equal(two.passed, 4)
  t.notMatch(two.text, /holds/)
})

t.test('a failure is told once with the place, the difference and what the file said, and again at the end', async t => {
  const { failures, text } = tell({ tap: FAILS, exit: FAILED, remark: 'a warning' }, { tap: PASSES, exit: DONE })
  t.equal(failures.length, 1, 'not once more for the tests around it')
  t.match(failures[0], /test\/1\.test\.ts › outer › inner › is two\n {4}at test\/x\.test\.ts:3:7\n {4}-2\n {4}\+1\n {4}# seed 4711/)
  t.equal(text.split('is two').length, 3)
  t.ok(text.indexOf('2/2') < text.lastIndexOf('is two'), 'after everything else')
})

t.test('a file that did not get through is a failure, whatever it said before', async t => {
  for (const [tap, exit] of [
    ['', DONE],
    ['', FAILED],
    [PASSES, FAILED],
    [PASSES, { code: null, signal: 'SIGKILL' }],
    [PASSES.slice(0, 40), DONE]
  ] as const) {
    t.equal(tell({ tap, exit, remark: 'Error: no such module' }).failures.length > 0, true, `${exit.signal ?? exit.code}`)
  }
})
