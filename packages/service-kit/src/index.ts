export * from './app.ts'
export * from './config.ts'
export * from './metrics.ts'
export * from './run.ts'
