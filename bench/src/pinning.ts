import { spawnSync } from 'node:child_process'
import { CORES } from './cpu.ts'

const SERVER_CORE = 0
const LOAD_CORE = 1

/** On which core what runs. `note` says it in words; `loadPrefix` starts the load generator where it belongs. */
export interface Pinning {
  isPinned: boolean
  note: string
  loadPrefix: readonly string[]
  /** Lets this process and a server, with what it starts meanwhile, use every core until `work` is done: nothing is measured then. */
  unpinned<T>(pid: number, work: () => Promise<T>): Promise<T>
}

/**
 * Puts this process on the servers' core, and with it every server that it starts from now on. It is idle itself while a
 * load runs.
 */
export function pin(): Pinning {
  const free = (why: string): Pinning => ({
    isPinned: false,
    note: `not pinned: ${why}; servers and load share the cores`,
    loadPrefix: [],
    unpinned: (_, work) => work()
  })
  if (CORES < 2) return free('there is one core')
  const put = (pid: number, cores: string) => spawnSync('taskset', ['-apc', cores, `${pid}`], { stdio: 'ignore' }).status === 0
  if (!put(process.pid, `${SERVER_CORE}`)) return free('there is no taskset that works here')
  return {
    isPinned: true,
    note: `servers and stores on core ${SERVER_CORE}, load generator on core ${LOAD_CORE} (taskset)`,
    loadPrefix: ['taskset', '-c', `${LOAD_CORE}`],
    async unpinned(pid, work) {
      const all = [process.pid, pid]
      for (const each of all) put(each, `0-${CORES - 1}`)
      try {
        return await work()
      } finally {
        for (const each of all) put(each, `${SERVER_CORE}`)
      }
    }
  }
}
