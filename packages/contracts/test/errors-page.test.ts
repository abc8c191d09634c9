import { readFileSync } from 'node:fs'
import t from 'tap'
import { CLOSE, ERRORS } from '../src/index.ts'

const PAGE = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')

/** The cells of each row of a section's table, without its head. */
function rowsOf(section: string): string[][] {
  const text = PAGE.split(/^## /m).find(part => part.startsWith(`${section}\n`)) ?? ''
  const [, , ...rows] = text.split('\n').filter(line => line.startsWith('| ') || line.startsWith('|-'))
  return rows.map(line =>
    line
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim())
  )
}

t.test('the page of errors has each code and no other, with its status and whether to try again', async t => {
  const written = rowsOf('Codes').map(([code, status, , , retry]) => [code, status, retry])
  const wanted = Object.entries(ERRORS).map(([code, { status, retryable }]) => [`\`${code}\``, String(status), retryable ? 'yes' : 'no'])
  t.same(written, wanted)
})

t.test('where an error has a code of the socket, its meaning names it', async t => {
  const meanings = new Map(rowsOf('Codes').map(([code, , meaning = '']) => [code, meaning]))
  for (const [code, error] of Object.entries(ERRORS)) {
    if ('ws_code' in error) t.match(meanings.get(`\`${code}\``), String(error.ws_code))
  }
})

t.test('the page of errors has each close code and no other, with its reason and whether to come back', async t => {
  const written = rowsOf('Close codes').map(([code, reason, , , comeBack]) => [code, reason, comeBack])
  const wanted = Object.values(CLOSE).map(({ code, reason, client }) => [String(code), reason, client.includes('resumes') ? 'yes' : 'no'])
  t.same(written, wanted)
})

t.test('each row of both tables says what it means and what to do, in sentences', async t => {
  const rows = [...rowsOf('Codes'), ...rowsOf('Close codes')]
  const poor = rows.filter(
    ([, , meaning = '', advice = '', ...more]) => !/\S\.$/.test(meaning) || !/\S\.$/.test(advice) || more.length !== 1
  )
  t.same(poor, [])
})
