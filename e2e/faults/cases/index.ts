import type { FaultCase } from '../trial.ts'
import { killGateway } from './t-cr-1.ts'

/** Every case, in the order they run in. */
export const CASES: readonly FaultCase[] = [killGateway]
