import t from 'tap'
import { fromPostgres, sqlState } from '../src/index.ts'

const failure = (code: string, message = 'x') => Object.assign(new Error(message), { code })

t.test('a connection that broke in whichever way is a database that is away', async t => {
  for (const code of ['EPIPE', 'ECONNRESET', 'ECONNREFUSED', 'ETIMEDOUT'])
    t.match(fromPostgres(failure(code, `write ${code}`)), { code: 'unavailable' }, code)
  t.match(fromPostgres(new Error('received invalid response: c4')), { code: 'unavailable' }, 'bytes that are no answer')
})

t.test('a SQLSTATE is told from the codes of the operating system', async t => {
  for (const code of ['23505', '08006', '57P01', '40P01', 'P0001', 'XX000', 'HV000', 'F0000']) t.equal(sqlState(failure(code)), code)
  for (const code of ['EPIPE', 'ENOENT', 'EBUSY']) t.equal(sqlState(failure(code)), undefined, code)
})

t.test('locks, deadlocks, full servers and shutdowns pass; what is our fault stays as it is', async t => {
  for (const code of ['55P03', '40P01', '40001', '53300', '57P03', '57014', '58030'])
    t.match(fromPostgres(failure(code)), { code: 'unavailable' }, code)
  for (const code of ['42601', '23503', '22P02']) t.notMatch(fromPostgres(failure(code)), { code: 'unavailable' }, code)
  t.match(fromPostgres(failure('22021')), { code: 'invalid_text' })
})
