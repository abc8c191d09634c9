import { once } from 'node:events'
import type { Socket } from 'node:net'
import { CLOSE } from '@parley/contracts'
import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { openPair } from './pair.ts'

failOnLeftovers(t)
/** A text without a word, as a client writes it. */
const EMPTY_FRAME = Buffer.from([0x81, 0x80, 0, 0, 0, 0])

for (const reason of ['malformed', 'policy'] as const) {
  t.test(`once a flood is told to go (${reason}) not one more of its frames is looked at, and it is gone soon`, async t => {
    const { connection, ws, client } = await openPair(t)
    let looks = 0
    ws.on('message', () => {
      if (++looks === 5) connection.close(reason)
    })
    const ends = Promise.all([once(client, 'close'), once(ws, 'close')])
    // More than is read at once: some of it still waits when the socket ends.
    ;(client as unknown as { _socket: Socket })._socket.write(Buffer.concat(Array.from({ length: 50_000 }, () => EMPTY_FRAME)))
    const [[code]] = await ends
    t.equal(code, CLOSE[reason].code)
    t.equal(looks, 5)
  })
}

t.test('a flood that is told to go in the middle of one of its frames is gone soon as well', async t => {
  const { connection, ws, client } = await openPair(t)
  let looks = 0
  const first = once(ws, 'message')
  ws.on('message', () => looks++)
  const { _socket: socket } = client as unknown as { _socket: Socket }
  const ends = Promise.all([once(client, 'close'), once(ws, 'close')])
  // The beginning of a frame of five bytes comes with the first.
  socket.write(Buffer.concat([EMPTY_FRAME, Buffer.from([0x81, 0x85, 0, 0, 0, 0, 0x61])]))
  await first
  connection.close('policy')
  socket.write(Buffer.concat([Buffer.from('bcde'), EMPTY_FRAME]))
  const [[code]] = await ends
  t.equal(code, CLOSE.policy.code)
  t.equal(looks, 1)
})
