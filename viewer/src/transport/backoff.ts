/** Waiting times between attempts to connect: exponential with full jitter, so that a restart meets no stampede. */

const FIRST_S = 1
const LONGEST_S = 30

export class Backoff {
  private attempts = 0

  constructor(
    private readonly random: () => number = Math.random,
    private readonly longestS = LONGEST_S,
  ) {}

  /** Seconds to wait before the next attempt: uniform between 0 and a bound that doubles up to the longest. */
  next(): number {
    const bound = Math.min(this.longestS, FIRST_S * 2 ** this.attempts)
    this.attempts += 1
    return this.random() * bound
  }

  reset(): void {
    this.attempts = 0
  }
}
