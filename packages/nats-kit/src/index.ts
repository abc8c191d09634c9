export type { Msg, Subscription } from 'nats'
export * from './bus.ts'
export * from './durability.ts'
export * from './plugin.ts'
