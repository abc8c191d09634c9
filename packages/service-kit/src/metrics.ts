import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client'

/** The metrics of one process: what `/metrics` on its ops port shows. Names begin with `parley_`, units stand in them. */
export class Metrics {
  readonly registry = new Registry()

  constructor(service: string) {
    this.registry.setDefaultLabels({ service })
    collectDefaultMetrics({ register: this.registry })
  }

  counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `parley_${name}`, help, labelNames, registers: [this.registry] })
  }

  gauge(name: string, help: string, read?: () => number): Gauge {
    return new Gauge({
      name: `parley_${name}`,
      help,
      registers: [this.registry],
      ...(read && {
        collect(this: Gauge) {
          this.set(read())
        }
      })
    })
  }

  histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: `parley_${name}`, help, buckets, registers: [this.registry] })
  }
}
