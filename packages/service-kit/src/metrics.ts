import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client'

/** The metrics of one process: what `/metrics` on its ops port shows. Names begin with `parley_`, units stand in them. */
export class Metrics {
  readonly registry = new Registry()

  constructor(service: string) {
    this.registry.setDefaultLabels({ service })
    collectDefaultMetrics({ register: this.registry })
  }

  counter(name: string, help: string, labelNames: string[] = []): Counter<string> {
    return new Counter({ name: `parley_${name}`, help, labelNames, registers: [this.registry] })
  }

  /** With `read` its value is asked for at each look; with `labels` it is what was set last. */
  gauge(name: string, help: string, how: (() => number | Promise<number>) | { labels: string[] }): Gauge<string> {
    const read = typeof how === 'function' ? how : undefined
    return new Gauge({
      name: `parley_${name}`,
      help,
      labelNames: typeof how === 'function' ? [] : how.labels,
      registers: [this.registry],
      ...(read && {
        async collect(this: Gauge<string>) {
          // What cannot be read now has no value, and must not take the other metrics with it.
          this.set(
            await Promise.resolve()
              .then(read)
              .catch(() => Number.NaN)
          )
        }
      })
    })
  }

  histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: `parley_${name}`, help, buckets, registers: [this.registry] })
  }
}
