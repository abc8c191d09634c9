import type { FastifyBaseLogger } from 'fastify'
import type { Databases } from '../db.ts'
import { sampleCommon } from '../queries/search.ts'

/** Of so many messages at least that have a lexeme: then it narrows a search down less than it costs. */
const SHARE = 0.2
const EVERY_MS = 10 * 60_000

/**
 * What so many say that a search is not narrowed down by it where something rarer is asked for besides: its list in the
 * index is long, and opening it anew for each message found took five sixths of a search for "the" and a word that 2,000 of
 * a million have. The text is what decides in any case. Known from a sample, taken behind the searches' backs.
 */
export class CommonLexemes {
  readonly #store: Databases['store']
  readonly #log: FastifyBaseLogger
  #known: ReadonlySet<string> = new Set()
  #takenAt = Number.NEGATIVE_INFINITY

  constructor(store: Databases['store'], log: FastifyBaseLogger) {
    this.#store = store
    this.#log = log
  }

  get known(): ReadonlySet<string> {
    if (performance.now() - this.#takenAt > EVERY_MS) {
      this.#takenAt = performance.now()
      void this.#store
        .query(db => sampleCommon(db, SHARE))
        .then(common => (this.#known = new Set(common)))
        .catch(err => this.#log.warn({ err }, 'what is said most could not be sampled'))
    }
    return this.#known
  }
}
