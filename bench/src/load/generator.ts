import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Scope } from '@parley/test-kit'
import type { Answer, Close, Closed, Open, Opened, Order, Ran, RunClosed, RunPaced } from './protocol.ts'

const ENTRY = fileURLToPath(new URL('main.ts', import.meta.url))

/** The load generator, seen from the process that conducts a run. */
export class Generator {
  readonly #child: ChildProcess
  #settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined

  /** @param prefix a command that puts it on a core of its own */
  constructor(scope: Scope, prefix: readonly string[]) {
    const [command, ...args] = [...prefix, process.execPath, ENTRY]
    this.#child = spawn(command!, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const gone = new Promise(resolve => this.#child.once('close', resolve))
    this.#child.on('message', ({ answer, error }: { answer: Answer; error?: string }) => {
      if (error === undefined) this.#settle?.resolve(answer)
      else this.#settle?.reject(new Error(error))
    })
    this.#child.on('exit', code => this.#settle?.reject(new Error(`the load generator ended with ${code}`)))
    this.#child.on('error', error => this.#settle?.reject(error))
    scope.teardown(async () => {
      this.#child.kill()
      await gone
    })
  }

  order(order: Open): Promise<Opened>
  order(order: RunClosed | RunPaced): Promise<Ran>
  order(order: Close): Promise<Closed>
  order(order: Order): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      this.#child.send(order)
    })
  }
}
