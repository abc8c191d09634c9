import { mkdir } from 'node:fs/promises'
import { Lifetime } from '@parley/test-kit'
import type { Check, Violation } from '../checker/violation.ts'
import type { ControlResult } from '../report.ts'
import { fetchBeforeSubscribe, noGapCheck, noOutbox, retryWithoutId, sessionTenant, unboundedBuffer, unsafeCommit } from './system.ts'

/**
 * Parley, or a client of it, broken on purpose: by settings, by a link that lies, or by a client that does it wrong. What
 * the checker then finds shows that it can find something.
 */
export interface Control {
  id: string
  /** What is broken, and how. */
  title: string
  /** Checks of which at least one must find it. */
  wanted: readonly Check[]
  run(parts: ControlParts): Promise<Violation[]>
}

export interface ControlParts {
  life: Lifetime
  seed: number
  folder: string
  onLife: (life: Lifetime) => void
}

/** Every control, in the order they run in. */
export const CONTROLS: readonly Control[] = [
  unsafeCommit,
  noOutbox,
  retryWithoutId,
  fetchBeforeSubscribe,
  noGapCheck,
  sessionTenant,
  unboundedBuffer
]

/** Runs a control and counts what was found. */
export async function runControl(
  { title, wanted, run }: Control,
  { seed, folder, onLife }: Omit<ControlParts, 'life'>
): Promise<ControlResult> {
  const startedAt = performance.now()
  const life = new Lifetime()
  onLife(life)
  const found = new Map<Check, number>()
  let failure: string | undefined
  try {
    await mkdir(folder, { recursive: true })
    for (const { check } of await run({ life, seed, folder, onLife })) found.set(check, (found.get(check) ?? 0) + 1)
  } catch (error) {
    failure = (error as Error).stack ?? String(error)
  }
  await life.end()
  return { title, wanted, found, ...(failure !== undefined && { failure }), seconds: (performance.now() - startedAt) / 1_000 }
}
