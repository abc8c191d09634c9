import { WebSocketServer } from 'ws'

/** What a server looks like that writes to whoever is connected and never looks at what waits. */
const MESSAGE = 'x'.repeat(1_024)
const MESSAGES = 250_000
const AT_ONCE = 1_000

const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
server.on('listening', () => process.stdout.write(`listening on ${(server.address() as { port: number }).port}\n`))
server.on('connection', socket => {
  let left = MESSAGES
  const more = () => {
    for (let n = 0; n < AT_ONCE && left > 0; n++, left--) socket.send(Buffer.from(MESSAGE))
    if (left > 0) setImmediate(more)
    else process.stdout.write('sent\n')
  }
  more()
})
process.once('disconnect', () => process.exit(0))
