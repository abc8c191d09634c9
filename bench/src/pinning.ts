import { spawnSync } from 'node:child_process'
import { CORES } from './cpu.ts'

const SERVER_CORE = 0
const LOAD_CORE = 1

/** On which core what runs. `note` says it in words; `loadPrefix` starts the load generator where it belongs. */
export interface Pinning {
  isPinned: boolean
  note: string
  loadPrefix: readonly string[]
}

/**
 * Puts this process on the servers' core, and with it every server that it starts from now on. It is idle itself while a
 * load runs.
 */
export function pin(): Pinning {
  const free = (why: string): Pinning => ({ isPinned: false, note: `not pinned: ${why}; servers and load share the cores`, loadPrefix: [] })
  if (CORES < 2) return free('there is one core')
  const { status } = spawnSync('taskset', ['-apc', `${SERVER_CORE}`, `${process.pid}`], { stdio: 'ignore' })
  if (status !== 0) return free('there is no taskset that works here')
  return {
    isPinned: true,
    note: `servers and stores on core ${SERVER_CORE}, load generator on core ${LOAD_CORE} (taskset)`,
    loadPrefix: ['taskset', '-c', `${LOAD_CORE}`]
  }
}
