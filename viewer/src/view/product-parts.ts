/** What card and tray show of a product alike: its picture, its price, the way to it. */

import { asOfNow, type CardEvent } from '../model/card-event'
import { h } from './dom'
import { priceText, shownPrice, shownPriceText } from './price'
import type { Texts } from './texts'

const TILE_TINTS = 6

/** The product's picture; without one, or while it cannot be had, a tile with the first letter of its name. */
export function productPicture(product: CardEvent): HTMLElement {
  const tile = h('span', { class: `tile tint-${tint(product.sku)}` }, firstLetter(product.name))
  const frame = h('span', { class: 'picture', 'aria-hidden': 'true' }, tile)
  if (product.image_url) {
    const image = h('img', { alt: '', decoding: 'async', referrerpolicy: 'no-referrer' })
    image.addEventListener('load', () => tile.replaceWith(image), { once: true })
    image.src = product.image_url
  }
  return frame
}

/** What it costs and on which terms, as of now; null where nothing of it is known. */
export function productCost(product: CardEvent, texts: Texts): HTMLElement | null {
  const now = asOfNow(product)
  const price = productPrice(now, texts)
  const usual = priceText(now.selling?.usual_price ?? null, now.currency, texts.locale)
  const terms = sellingTerms(now, texts)
  if (!price && terms.length === 0) return null
  return h(
    'div',
    { class: 'cost' },
    price,
    h(
      'span',
      { class: 'beside' },
      usual
        ? h('span', { class: 'usual' }, h('span', { class: 'unseen' }, `${texts.usualPrice} `), h('s', {}, usual))
        : null,
      terms.length > 0 ? h('span', { class: 'terms' }, ...terms.map((term) => h('span', {}, term))) : null,
    ),
  )
}

/** What `productCost` says, to be compared. */
export function costText(product: CardEvent, texts: Texts): string {
  const now = asOfNow(product)
  return JSON.stringify([shownPriceText(now, texts), now.selling?.usual_price, ...sellingTerms(now, texts)])
}

/** An end is a time: nothing counts down. */
function sellingTerms({ selling }: CardEvent, texts: Texts): string[] {
  if (!selling) return []
  const { coupon, sale_ends_at_s: endsAtS, stock_left: left, limit_per_buyer: limit } = selling
  return [
    endsAtS === null ? null : texts.saleEnds(dateText(endsAtS * 1000, texts.locale)),
    left === null ? null : texts.stockLeft(left),
    limit === null ? null : texts.limitPerBuyer(limit),
    coupon,
  ].filter((text) => text !== null)
}

/** Today the time alone, another year with it. */
function dateText(atMs: number, locale: string): string {
  const at = new Date(atMs)
  const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const
  const now = new Date()
  const isToday = at.toDateString() === now.toDateString()
  const year = at.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' as const }
  const form = isToday ? clock : { ...year, month: 'short' as const, day: 'numeric' as const, ...clock }
  return new Intl.DateTimeFormat(locale, form).format(at)
}

function productPrice(product: CardEvent, texts: Texts): HTMLElement | null {
  const parts = shownPrice(product, texts)
  if (parts.length === 0) return null
  return h('span', { class: 'price' }, ...parts.map(({ kind, text }) => h('span', { class: kind }, text)))
}

/** Opens beside the stream; the shop learns nothing of the page. `url` is https: events with another are refused. */
export function buyLink(product: CardEvent, texts: Texts, onClick: () => void): HTMLAnchorElement {
  const link = h(
    'a',
    {
      class: 'buy',
      part: 'buy',
      href: product.url,
      target: '_blank',
      rel: 'noopener noreferrer',
      'aria-label': texts.buyNamed(product.name),
    },
    texts.buy,
  )
  link.addEventListener('click', onClick)
  // The middle button opens it too.
  link.addEventListener('auxclick', ({ button }) => {
    if (button === 1) onClick()
  })
  return link
}

/** The same product always has the same colour. */
function tint(sku: string): number {
  let hash = 0
  for (const character of sku) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0
  return hash % TILE_TINTS
}

function firstLetter(name: string): string {
  const text = name.trim()
  const [character = ''] = text
  // Firefox has it since 125 only: an emoji of several characters is cut there.
  if (!('Segmenter' in Intl)) return character.toLocaleUpperCase()
  const [first] = new Intl.Segmenter().segment(text)
  return first?.segment.toLocaleUpperCase() ?? ''
}
