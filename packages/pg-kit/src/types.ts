import pg from 'pg'

const { builtins } = pg.types

/**
 * How columns arrive: `int8` as a number (no counter of ours passes 2^53), times as RFC 3339 with milliseconds.
 * Sessions speak UTC and ISO, so a time is cut and pasted, not parsed: 2026-01-20 10:30:00.5+00 → 2026-01-20T10:30:00.500Z.
 */
export function setTypes(): void {
  pg.types.setTypeParser(builtins.INT8, Number)
  pg.types.setTypeParser(builtins.TIMESTAMPTZ, text => {
    const dot = text.indexOf('.')
    const fraction = dot === -1 ? '' : text.slice(dot + 1, -3)
    return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction.slice(0, 3).padEnd(3, '0')}Z`
  })
}
