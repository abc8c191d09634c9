import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { failOnLeftovers, until } from '@parley/test-kit'
import t, { type Test } from 'tap'

failOnLeftovers(t)

async function start(t: Test, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'stand-in/service.ts')], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text
    })
  }
  // Not `close`: after a disconnect from this side it does not come.
  const exited = Promise.all([once(child, 'exit'), once(child.stdout!, 'close'), once(child.stderr!, 'close')]).then(
    ([[code, signal]]) => ({
      code,
      signal
    })
  )
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const ready = () =>
    until(() => output.includes('"started"') && /listening at (http:[^"]+)/.exec(output)?.[1], {
      timeoutMs: 20_000,
      what: 'it has started'
    })
  return { child, exited, output: () => output, ready }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} closes in the reverse order of registration and ends with 0`, async t => {
    const service = await start(t)
    await service.ready()

    service.child.kill(signal)

    t.same(await service.exited, { code: 0, signal: null })
    const said = service
      .output()
      .split('\n')
      .filter(line => !line.startsWith('{') && line)
    t.same(said, ['last registered, closed first', 'first registered, closed last'])
    t.match(service.output(), new RegExp(`"reason":"${signal}"`))
  })
}

t.test('the end of whoever started it stops a service, and a second signal does no harm', async t => {
  const service = await start(t)
  await service.ready()

  service.child.disconnect()
  service.child.kill('SIGTERM')
  service.child.kill('SIGTERM')

  t.same(await service.exited, { code: 0, signal: null })
})

for (const path of ['throw-outside', 'reject-outside']) {
  t.test(`an error that nobody catches (${path}) is logged whole, closes the service and ends it with 1`, async t => {
    const service = await start(t)

    await fetch(`${await service.ready()}/${path}`).catch(() => {})

    t.same(await service.exited, { code: 1, signal: null })
    t.match(service.output(), /"level":60.*nobody (catches|waits for) this.*stack/)
    t.match(service.output(), 'first registered, closed last')
  })
}

t.test('a start that fails ends with 1 and its reason', async t => {
  const service = await start(t, { BUILD: 'fails' })
  t.same(await service.exited, { code: 1, signal: null })
  t.match(service.output(), 'there is no reason to start')
})

t.test('a close that hangs or fails does not keep the process', async t => {
  for (const how of ['hangs', 'fails']) {
    const service = await start(t, { CLOSE: how })
    await service.ready()
    const since = Date.now()
    service.child.kill('SIGTERM')
    t.same(await service.exited, { code: 1, signal: null }, how)
    t.ok(Date.now() - since < 3_000, 'within its grace')
  }
})

t.test('a token is in no log line', async t => {
  const service = await start(t)
  const url = await service.ready()
  await fetch(`${url}/log`, { headers: { authorization: 'Bearer top-secret' } })
  await until(() => service.output().includes('"logged"'))
  t.notMatch(service.output(), 'top-secret')
})
