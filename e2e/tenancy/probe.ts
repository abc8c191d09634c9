import type { Scope } from '@parley/test-kit'
import { probeFrames } from './frames.ts'
import { probeRequests } from './requests.ts'
import { probeRoutes } from './routes.ts'
import { type Doors, type Stage, setStage } from './stage.ts'

/** Tries everything that a contract lets anybody ask, as everybody; `findings` are sentences of what was wrong. */
export async function probeTenancy(t: Scope, doors: Doors): Promise<Stage> {
  const stage = await setStage(doors)
  await probeRoutes(stage)
  await probeFrames(t, stage)
  await probeRequests(stage)
  stage.searchMarks()
  return stage
}
