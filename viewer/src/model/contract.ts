/** Written by `make docs` from contract/card.py: change it there. */

/**
 * `card` shows a product, `update` moves its box, `withdraw` takes it away; the three have the same `card_id`.
 *
 * `box` and `avoid` are in pixels of a picture `frame_width` x `frame_height`; `captured_at_s`, `decided_at_s` and
 * `emitted_at_s` are UNIX time.
 */
export interface CardEvent {
  readonly event: 'card' | 'update' | 'withdraw'
  /** Grows by one in each room, from 1, so that a viewer can resume. */
  readonly event_id: number
  readonly card_id: string
  readonly room: string
  readonly sku: string
  readonly name: string
  /** Always https. */
  readonly url: string
  /** Decimal as text, such as "12.90". */
  readonly price: string | null
  readonly currency: string | null
  readonly confidence: number
  /** Null where the product is not in the picture. */
  readonly box: readonly [number, number, number, number] | null
  readonly frame_width: number
  readonly frame_height: number
  /** Presentation time of the frame that decided, seconds of the stream. */
  readonly pts_s: number
  /** When that frame was captured. */
  readonly captured_at_s: number
  readonly decided_at_s: number
  /** When the event was handed to the bus. */
  readonly emitted_at_s: number
  /** Faces that a card must not cover; null: nobody looked for them, what was said before holds. */
  readonly avoid: readonly (readonly [number, number, number, number])[] | null
  /** The product's picture: https, or a path of the hub. */
  readonly image_url: string | null
  /** Where else it is sold: one a platform. */
  readonly offers: readonly PlatformOffer[]
  /** Variants of it cost more: a card reads ¥59 起, from ¥59. */
  readonly is_from_price: boolean
  /** Sale, stock left, coupon, limit; null: none of them. */
  readonly selling: Selling | null
  /** Of a withdraw only: why, one of docs/events.md. */
  readonly reason: string | null
  readonly schema: 1
}

/**
 * The product as one platform sells it.
 */
export interface PlatformOffer {
  /** Such as "douyin", "taobao", "wechat". */
  readonly platform: string
  readonly item_id: string
  readonly sku_id: string | null
  /** Always https. */
  readonly url: string
  readonly slot: number | null
}

/**
 * What a card says beside the price, all of it only where the catalog says so.
 */
export interface Selling {
  /** Before and after the sale that `price` is of. */
  readonly usual_price: string | null
  /** UNIX time from which `usual_price` counts. */
  readonly sale_ends_at_s: number | null
  readonly stock_left: number | null
  readonly coupon: string | null
  readonly limit_per_buyer: number | null
}
