/** The messages between viewer and hub: docs/viewer.md says what each is for. */

import { type CardEvent, InvalidEvent, parseCardEvent, record } from '../model/card-event'

export type FeedbackKind = 'impression' | 'click' | 'close' | 'wrong' | 'dwell'

export interface Feedback {
  /** Unique: a batch that is sent twice counts once. */
  readonly id: string
  readonly kind: FeedbackKind
  readonly card_id: string
  readonly sku: string
  /** UNIX time in seconds, by the server's clock as far as it is known. */
  readonly at_s: number
  /** Of `dwell`: how long the card was in front. */
  readonly dwell_s?: number
}

export interface FeedbackBatch {
  readonly type: 'feedback'
  readonly batch_id: string
  readonly events: readonly Feedback[]
}

export type ServerMessage =
  | {
      readonly type: 'hello'
      readonly room: string
      readonly serverTimeS: number
      readonly lastEventId: number
      readonly current: readonly CardEvent[]
    }
  | { readonly type: 'event'; readonly event: CardEvent }
  | { readonly type: 'gap' }
  | { readonly type: 'ping'; readonly serverTimeS: number }
  | { readonly type: 'ack'; readonly batchId: string }
  /** Of a newer hub: nothing that this element needs. */
  | { readonly type: 'unknown' }

export type ClientMessage = { readonly type: 'pong' } | { readonly type: 'current' } | FeedbackBatch

/**
 * Reads a message of the hub.
 *
 * @param hub its address, which pictures go by.
 * @param onInvalid is told of each card of a `hello` that cannot be used; the others are.
 * @throws InvalidEvent where it is not JSON, or an event that cannot be used.
 */
export function parseServerMessage(text: string, hub: string, onInvalid: (error: InvalidEvent) => void): ServerMessage {
  const fields = record(parseJson(text), 'a message')
  switch (fields.type) {
    case 'hello':
      return {
        type: 'hello',
        room: String(fields.room ?? ''),
        serverTimeS: Number(fields.server_time_s ?? Number.NaN),
        lastEventId: Number(fields.last_event_id ?? 0),
        current: usable(Array.isArray(fields.current) ? fields.current : [], hub, onInvalid),
      }
    case 'event':
      return { type: 'event', event: parseCardEvent(fields.event, hub) }
    case 'gap':
      return { type: 'gap' }
    case 'ping':
      return { type: 'ping', serverTimeS: Number(fields.server_time_s ?? Number.NaN) }
    case 'ack':
      return { type: 'ack', batchId: String(fields.batch_id ?? '') }
    default:
      return { type: 'unknown' }
  }
}

function usable(values: unknown[], hub: string, onInvalid: (error: InvalidEvent) => void): CardEvent[] {
  return values.flatMap((value) => {
    try {
      return [parseCardEvent(value, hub)]
    } catch (error) {
      if (!(error instanceof InvalidEvent)) throw error
      onInvalid(error)
      return []
    }
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new InvalidEvent('a message of the hub is not JSON')
  }
}
