const DAY_MS = 86_400_000
const formats = new Map<string, Intl.DateTimeFormat>()

/** Formats are costly to make and few: one is kept for each language and shape. */
function format(language: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language + JSON.stringify(options)
  const made = formats.get(key) ?? new Intl.DateTimeFormat(language, options)
  formats.set(key, made)
  return made
}

/** The viewer's own calendar day, as a number that grows by one each day. */
export function dayNumber(time: string | number): number {
  const date = new Date(time)
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / DAY_MS)
}

export function clock(language: string, time: string): string {
  return format(language, { hour: 'numeric', minute: '2-digit' }).format(new Date(time))
}

export function fullTime(language: string, time: string): string {
  return format(language, { dateStyle: 'full', timeStyle: 'short' }).format(new Date(time))
}

/** Above the messages of a day: today, yesterday, or the date in full. */
export function dayLabel(language: string, time: string, now = Date.now()): string {
  const ago = dayNumber(now) - dayNumber(time)
  if (ago === 0 || ago === 1) return relativeDay(language, ago)
  const sameYear = new Date(time).getFullYear() === new Date(now).getFullYear()
  return format(language, { weekday: 'long', day: 'numeric', month: 'long', ...(sameYear ? {} : { year: 'numeric' }) }).format(
    new Date(time)
  )
}

/** In the list of conversations: the time today, the day of this week, else the date. */
export function shortTime(language: string, time: string, now = Date.now()): string {
  const ago = dayNumber(now) - dayNumber(time)
  if (ago <= 0) return clock(language, time)
  if (ago === 1) return relativeDay(language, 1)
  if (ago < 7) return format(language, { weekday: 'short' }).format(new Date(time))
  return format(language, { day: 'numeric', month: 'numeric', year: '2-digit' }).format(new Date(time))
}

function relativeDay(language: string, daysAgo: number): string {
  const text = new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(-daysAgo, 'day')
  return text.charAt(0).toLocaleUpperCase(language) + text.slice(1)
}
