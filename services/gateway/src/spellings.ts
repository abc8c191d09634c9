import type { TSchema } from '@sinclair/typebox'

/**
 * Brings ids and times of a checked request into their one spelling, in place: a UUID in capitals is the same id, and half
 * past ten in Seoul the same time as half past one in UTC. Behind the edge they are keys, subjects and parts of answers,
 * where only one spelling is found. Hot path: runs once a frame.
 */
export function respell(schema: TSchema, value: unknown): void {
  const given = value as Record<string, unknown>
  for (const [name, spell] of spelledFields(schema)) {
    const field = given[name]
    if (typeof field === 'string') given[name] = spell(field)
    else if (Array.isArray(field)) given[name] = field.map(spell)
  }
}

type Spell = (text: string) => string

const CAPITAL = /[A-F]/
const SPELLINGS: Readonly<Record<string, Spell>> = {
  uuid: id => (CAPITAL.test(id) ? id.toLowerCase() : id),
  'date-time': time => new Date(time).toISOString()
}

const known = new WeakMap<TSchema, readonly (readonly [name: string, spell: Spell])[]>()

function spelledFields(schema: TSchema): readonly (readonly [name: string, spell: Spell])[] {
  let fields = known.get(schema)
  if (!fields) {
    fields = Object.entries<TSchema>(schema.properties ?? {}).flatMap(([name, field]) => {
      const spell = SPELLINGS[formatOf(field) ?? '']
      return spell ? [[name, spell] as const] : []
    })
    known.set(schema, fields)
  }
  return fields
}

/** Of a field, of what is in its list, or of what it is where it is not null. */
function formatOf({ format, items, anyOf = [] }: TSchema): string | undefined {
  return format ?? items?.format ?? anyOf.find((one: TSchema) => one.format)?.format
}
