import { createServer } from 'node:http'

// Stands in for a service: what the launcher asks of one, and nothing else.
const { PARLEY_INSTANCE, OPS_PORT, PORT, HOST, DATABASE_URL, FAILING_INSTANCE } = process.env

process.stdout.write(`${PARLEY_INSTANCE} starts\n`)
if (FAILING_INSTANCE === PARLEY_INSTANCE) {
  process.stdout.write('this one has no reason to live\n')
  process.exit(3)
}
createServer((_, response) => response.end('ready')).listen(Number(OPS_PORT), '127.0.0.1')
if (PORT) {
  createServer((_, response) => response.end(`${PARLEY_INSTANCE} ${DATABASE_URL ? 'knows' : 'does not know'} the database`)).listen(
    Number(PORT),
    HOST
  )
}
process.on('SIGTERM', () => process.exit(0))
process.on('disconnect', () => process.exit(0))
