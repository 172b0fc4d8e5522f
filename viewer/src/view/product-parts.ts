/** What card and tray show of a product alike: its picture, its price, the way to it. */

import type { CardEvent } from '../model/card-event'
import { h } from './dom'
import { shownPrice } from './price'
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

/** Null where the product has no price. */
export function productPrice(product: CardEvent, texts: Texts): HTMLElement | null {
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
