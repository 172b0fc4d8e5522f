/** What viewers did, kept until the hub has it: batches go again after a reconnect, under the same id. */

import type { Feedback, FeedbackBatch } from './protocol'

const LARGEST_BATCH = 20
/** Ten batches: what one viewer does in a show with the hub away. */
const LARGEST_OUTBOX = 200

export class FeedbackOutbox {
  private readonly waiting: Feedback[] = []
  private inFlight: FeedbackBatch | null = null
  /** Dropped because the hub was away for too long, or refused them. */
  dropped = 0

  add(feedback: Feedback): void {
    this.waiting.push(feedback)
    if (this.waiting.length > LARGEST_OUTBOX) {
      this.dropLeast()
      this.dropped += 1
    }
  }

  /** The batch to send now: null while one is on its way, or where there is nothing to say. */
  take(): FeedbackBatch | null {
    if (this.inFlight || this.waiting.length === 0) return null
    this.inFlight = { type: 'feedback', batch_id: randomId(), events: this.waiting.splice(0, LARGEST_BATCH) }
    return this.inFlight
  }

  /** The batch that was sent on a connection that is no more. */
  get unacknowledged(): FeedbackBatch | null {
    return this.inFlight
  }

  acknowledge(batchId: string): void {
    if (this.inFlight?.batch_id === batchId) this.inFlight = null
  }

  /** The hub will never take the batch that is on its way. */
  giveUp(): void {
    this.dropped += this.inFlight?.events.length ?? 0
    this.inFlight = null
  }

  /** Clicks, reports and closings say more than that a card was seen. */
  private dropLeast(): void {
    const least = this.waiting.findIndex(({ kind }) => kind === 'impression' || kind === 'dwell')
    this.waiting.splice(Math.max(least, 0), 1)
  }
}

/** 32 hexadecimal digits; `crypto.randomUUID` is missing on pages that are not https. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
