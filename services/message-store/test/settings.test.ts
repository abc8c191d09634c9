import { readFileSync } from 'node:fs'
import type { TSchema } from '@sinclair/typebox'
import t from 'tap'
import { Config } from '../src/config.ts'

t.test('.env.example names every setting with its default', async t => {
  const lines = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8').split('\n')
  for (const [name, property] of Object.entries<TSchema>(Config.properties)) {
    t.ok(lines.includes(`#${name}=${property.default ?? ''}`), `${name}=${property.default ?? ''}`)
    t.ok(property.description, `${name} says what it is`)
  }
})
