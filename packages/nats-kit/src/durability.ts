import type { Bus } from './bus.ts'

/** What we read of a server's `/jsz`; the time in `sync_interval` counts only without `sync_always`. */
interface Jsz {
  server_id?: string
  disabled?: boolean
  config?: { sync_interval?: number; sync_always?: boolean }
}

interface Unsafe {
  setting: string
  value: string
  why: string
  fix: string
}

const WHY = 'JetStream acknowledges an event up to that long before it is on the disk, and a crash of the machine loses it'
const UNKNOWN_WHY = 'NATS tells a client nothing of its sync_interval, and the default, 2m, loses acknowledged events'

/**
 * Tells whether every NATS server flushes what it acknowledges. A connection cannot see that: `/jsz` of the monitoring port
 * says it, for each server that is named. The one that we are connected to has to be among them, or it is all about others.
 *
 * @param monitorUrls separated by commas; where there are none nothing is known
 * @throws Error where a server does not answer
 */
export async function unsafeJetStream({ connection }: Bus, monitorUrls: string): Promise<Unsafe[]> {
  const urls = monitorUrls
    .split(',')
    .map(url => url.trim())
    .filter(url => url !== '')
  const unknown = (fix: string): Unsafe[] => [{ setting: 'sync_interval', value: 'unknown', why: UNKNOWN_WHY, fix }]
  if (urls.length === 0) return unknown('set NATS_MONITOR_URL to the monitoring address of each NATS server, such as http://nats:8222')

  const servers = await Promise.all(urls.map(readJsz))
  const ours = connection.info?.server_id
  if (ours !== undefined && !servers.some(({ server_id }) => server_id === ours)) {
    return unknown('let NATS_MONITOR_URL name the server that NATS_URL leads to')
  }
  return servers.flatMap(({ config }, index) =>
    config?.sync_always
      ? []
      : [
          {
            setting: 'sync_interval',
            value: config?.sync_interval === undefined ? 'unknown' : `${config.sync_interval / 1e9}s`,
            why: WHY,
            fix: `set jetstream { sync_interval: always } at the server behind ${urls[index]} (2.10 or newer) and restart it`
          }
        ]
  )
}

async function readJsz(url: string): Promise<Jsz> {
  try {
    const response = await fetch(new URL('/jsz', url), { signal: AbortSignal.timeout(2_000) })
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    return (await response.json()) as Jsz
  } catch (cause) {
    throw new Error(`the monitoring port of NATS does not answer at ${url}`, { cause })
  }
}
