// Rates and latencies out of the counters and times of the feed.

const MOST_KEPT = 60
/** Rates are of this long. */
const WINDOW_S = 10

/** The last values, their median and 95th percentile. */
export class Latency {
  values = []

  add(seconds) {
    this.values.push(Math.max(0, seconds))
    if (this.values.length > MOST_KEPT) this.values.shift()
  }

  get last() {
    return this.values.at(-1)
  }

  quantile(share) {
    const sorted = [...this.values].sort((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  }
}

/** How fast a counter grows. */
export class Rate {
  samples = []

  add(atS, count) {
    // A counter that falls back began anew.
    if (this.samples.length && count < this.samples.at(-1)[1]) this.samples = []
    this.samples.push([atS, count])
    while (this.samples.length > 2 && atS - this.samples[0][0] > WINDOW_S) this.samples.shift()
  }

  get perS() {
    if (this.samples.length < 2) return undefined
    const [[fromS, from], [toS, to]] = [this.samples[0], this.samples.at(-1)]
    return toS > fromS ? (to - from) / (toS - fromS) : undefined
  }
}

export function seconds(value) {
  if (value === undefined) return '–'
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 2 : 0)} s`
}
