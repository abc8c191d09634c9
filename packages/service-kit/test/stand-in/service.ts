import { createApp, run } from '../../src/index.ts'

// A service as small as one can be; the environment says how it misbehaves.
const { BUILD, CLOSE } = process.env
const say = (text: string) => void process.stdout.write(`${text}\n`)

await run(
  async () => {
    if (BUILD === 'fails') throw new Error('there is no reason to start')
    const app = createApp('stand-in', { level: 'info', instance: 'stand-in-1' })
    app.addHook('onClose', async () => say('first registered, closed last'))
    app.addHook('onClose', async () => {
      if (CLOSE === 'hangs') await new Promise(() => {})
      if (CLOSE === 'fails') throw new Error('it does not close')
      say('last registered, closed first')
    })
    app.get('/slow', async () => {
      say('in hand')
      await new Promise(resolve => setTimeout(resolve, 200))
      return { answered: true }
    })
    app.get('/throw-outside', async () => {
      setImmediate(() => {
        throw new Error('nobody catches this')
      })
      return {}
    })
    app.get('/reject-outside', async () => {
      void Promise.reject(new Error('nobody waits for this'))
      return {}
    })
    app.get('/log', async request => {
      request.log.info({ headers: request.headers, token: 'top-secret', nested: { token: 'top-secret' } }, 'logged')
      return {}
    })
    return { app, port: 0, host: '127.0.0.1' }
  },
  { graceMs: 500 }
)
