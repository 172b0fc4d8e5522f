/** What the hub sends about a product in the stream: docs/events.md describes every field. */

import type { Selling, CardEvent as SentCardEvent } from './contract'

/** A card event as far as the viewer uses it. */
export type CardEvent = Omit<SentCardEvent, 'confidence' | 'decided_at_s' | 'emitted_at_s' | 'offers' | 'schema'>

/** x1, y1, x2, y2 in pixels of the stream's picture, x to the right, y down. */
export type BoxXyxyPx = NonNullable<CardEvent['box']>

export type EventKind = CardEvent['event']

/** An event that cannot be used; the message names the field. */
export class InvalidEvent extends Error {
  override readonly name = 'InvalidEvent'
}

/** What a page may leave out when it makes an event itself: see {@link parseCardEvent} for what is taken instead. */
export type CardEventInput = Pick<CardEvent, 'card_id' | 'sku' | 'name' | 'url'> & Partial<CardEvent>

/**
 * Reads one event that came from outside.
 *
 * @param base is what its picture's address goes by: the hub that sent it, else the page.
 * @throws InvalidEvent where a field is missing or of the wrong kind, or where `url` is not https.
 */
export function parseCardEvent(value: unknown, base: string = document.baseURI): CardEvent {
  const fields = record(value, 'an event')
  const schema = fields.schema ?? 1
  if (schema !== 1) throw new InvalidEvent(`schema is ${String(schema)}; this element reads schema 1`)
  return {
    event: kind(fields.event ?? 'card'),
    event_id: number(fields, 'event_id', 0),
    card_id: text(fields, 'card_id'),
    room: optionalText(fields, 'room') ?? '',
    sku: text(fields, 'sku'),
    name: text(fields, 'name'),
    url: httpsUrl(text(fields, 'url')),
    price: optionalText(fields, 'price'),
    currency: optionalText(fields, 'currency'),
    is_from_price: fields.is_from_price === true,
    selling: fields.selling == null ? null : selling(record(fields.selling, 'selling')),
    box: fields.box == null ? null : box(fields.box, 'box'),
    frame_width: number(fields, 'frame_width', 0),
    frame_height: number(fields, 'frame_height', 0),
    pts_s: number(fields, 'pts_s', 0),
    captured_at_s: number(fields, 'captured_at_s', 0),
    reason: optionalText(fields, 'reason'),
    avoid: Array.isArray(fields.avoid) ? fields.avoid.map((face) => box(face, 'avoid')) : null,
    image_url: imageUrl(optionalText(fields, 'image_url'), base),
  }
}

function selling(fields: Record<string, unknown>): Selling {
  return {
    usual_price: optionalText(fields, 'usual_price'),
    sale_ends_at_s: fields.sale_ends_at_s == null ? null : number(fields, 'sale_ends_at_s', 0),
    stock_left: fields.stock_left == null ? null : number(fields, 'stock_left', 0),
    coupon: optionalText(fields, 'coupon'),
    limit_per_buyer: fields.limit_per_buyer == null ? null : number(fields, 'limit_per_buyer', 0),
  }
}

/** The product as it is sold now: a card may be on the screen, or in the tray, for longer than its sale. */
export function asOfNow(product: CardEvent): CardEvent {
  const { selling } = product
  if (selling?.sale_ends_at_s == null || Date.now() < selling.sale_ends_at_s * 1000) return product
  return { ...product, price: selling.usual_price, selling: { ...selling, usual_price: null, sale_ends_at_s: null } }
}

export function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidEvent(`${what} must be a JSON object`)
  }
  return value as Record<string, unknown>
}

function kind(value: unknown): EventKind {
  if (value === 'card' || value === 'update' || value === 'withdraw') return value
  throw new InvalidEvent(`event must be card, update or withdraw, not ${String(value)}`)
}

function text(fields: Record<string, unknown>, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string' || value === '') throw new InvalidEvent(`${name} must be a text that is not empty`)
  return value
}

function optionalText(fields: Record<string, unknown>, name: string): string | null {
  const value = fields[name]
  if (value == null) return null
  if (typeof value !== 'string') throw new InvalidEvent(`${name} must be text or null`)
  return value
}

function number(fields: Record<string, unknown>, name: string, otherwise: number): number {
  const value = fields[name] ?? otherwise
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new InvalidEvent(`${name} must be a number`)
  return value
}

function box(value: unknown, name: string): BoxXyxyPx {
  const isBox = Array.isArray(value) && value.length === 4 && value.every((side) => Number.isFinite(side))
  if (!isBox) throw new InvalidEvent(`${name} must be four numbers: x1, y1, x2, y2`)
  const [x1, y1, x2, y2] = value as [number, number, number, number]
  return [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)]
}

function httpsUrl(value: string): string {
  const url = parsedUrl(value)
  if (url?.protocol !== 'https:') throw new InvalidEvent('url must begin with https://')
  return url.href
}

/** A picture that may not be shown is left out: the card has a tile with the name's first letter instead. */
function imageUrl(value: string | null, base: string): string | null {
  const url = value === null ? null : parsedUrl(value, base)
  const isOwn = url?.origin === location.origin || url?.origin === parsedUrl(base)?.origin
  return url && (url.protocol === 'https:' || isOwn) ? url.href : null
}

/** `URL.canParse` is younger than the browsers that the element runs in. */
function parsedUrl(value: string, base?: string): URL | null {
  try {
    return new URL(value, base)
  } catch {
    return null
  }
}
