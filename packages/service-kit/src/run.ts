import type { FastifyInstance } from 'fastify'

/**
 * Runs a service until SIGTERM, SIGINT, the end of the process that started it, or an uncaught error; then closes it in
 * the reverse of the order in which its plugins were registered. A failed start ends the process with its reason.
 *
 * @param graceMs how long a close may take before the process ends anyway; what `build` gives goes first
 */
export async function run(
  build: () => Promise<{ app: FastifyInstance; port: number; host: string; graceMs?: number }>,
  { graceMs = 10_000 }: { graceMs?: number } = {}
): Promise<void> {
  let app: FastifyInstance
  try {
    const built = await build()
    app = built.app
    graceMs = built.graceMs ?? graceMs
    await app.listen({ port: built.port, host: built.host })
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exit(1)
  }
  app.log.info({ node: process.version }, 'started')

  let isStopping = false
  const stop = async (reason: string, code: number) => {
    if (isStopping) return
    isStopping = true
    app.health.stopping = true
    app.log.info({ reason }, 'stopping')
    setTimeout(() => {
      app.log.error({ graceMs }, 'stop took too long')
      process.exit(1)
    }, graceMs).unref()
    try {
      await app.close()
      app.log.info('stopped')
    } catch (err) {
      app.log.error({ err }, 'stop failed')
      code = 1
    }
    process.exit(code)
  }

  process.on('SIGTERM', () => void stop('SIGTERM', 0))
  process.on('SIGINT', () => void stop('SIGINT', 0))
  // Whoever started us holds an IPC channel: it closes even when they were killed without a word.
  process.on('disconnect', () => void stop('parent gone', 0))
  process.on('uncaughtException', err => {
    app.log.fatal({ err }, 'uncaught exception')
    void stop('uncaught exception', 1)
  })
  process.on('unhandledRejection', err => {
    app.log.fatal({ err }, 'unhandled rejection')
    void stop('unhandled rejection', 1)
  })
}
