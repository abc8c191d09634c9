import { ChangeLog } from './events.ts'

/** Every stream; message-store makes them at its start. The tables are the truth, a stream can be made anew from them. */
export const STREAMS = [
  {
    name: 'EVT',
    subjects: [ChangeLog.address],
    /** Long enough for consumers to be away over a weekend; short enough for erasure. */
    maxAgeHours: 72,
    maxBytes: 4 * 1024 ** 3,
    maxMessageBytes: 8 * 1024 ** 2
  }
] as const
