import { setTimeout as delay } from 'node:timers/promises'
import { Launcher, type Programs } from './launcher.ts'
import { report } from './report.ts'
import { Refusal, readSettings } from './settings.ts'

/** A download or a build that is under way at the signal ends with this process; it is not waited for. */
const ABANDON_MS = 3000

/**
 * Runs the platform until a signal, or until the process that started this one is gone, and ends this process:
 * with 0 when it was asked to stop, with 1 when it could not start.
 */
export async function runLauncher(programs: Programs): Promise<never> {
  let launcher: Launcher
  try {
    const names = programs.services.map(service => service.name)
    launcher = new Launcher(readSettings(process.argv.slice(2), process.env, names), programs)
  } catch (error) {
    return end(error)
  }

  const asked = Promise.withResolvers<void>()
  let isAsked = false
  const ask = () => {
    if (isAsked) void launcher.stop()
    isAsked = true
    asked.resolve()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask)
  process.once('disconnect', ask)

  const started = launcher.start()
  const failure = await Promise.race([asked.promise, started.then(() => asked.promise)]).then(
    () => undefined,
    (error: unknown) => ({ error })
  )
  if (isAsked) report.done('stopping', '')
  const isIdle = started.catch(() => undefined)
  await launcher.stop()
  await Promise.race([isIdle, delay(ABANDON_MS)])
  return failure ? end(failure.error) : process.exit(0)
}

function end(error: unknown): never {
  report.error(error instanceof Refusal ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.exit(1)
}
