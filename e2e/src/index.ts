export * from './browser.ts'
export * from './web.ts'
