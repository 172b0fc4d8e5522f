/** Prices as the viewer's language writes them, exact: amounts are never made floating-point numbers. */

import type { CardEvent } from '../model/card-event'
import type { Texts } from './texts'

export interface PricePart {
  readonly kind: 'symbol' | 'amount' | 'from'
  readonly text: string
}

const DECIMAL = /^\d{1,12}(\.\d{1,4})?$/
/** Of a currency that nobody knows: a card with a page of it would fit nowhere. */
const LONGEST_CURRENCY = 12

/** Empty where there is no price, or none that can be read. */
export function priceParts(price: string | null, currency: string | null, locale: string): PricePart[] {
  if (price === null || !DECIMAL.test(price)) return []
  const format = formatFor(currency, locale)
  if (!format) return [{ kind: 'amount', text: currency ? `${price} ${currency.slice(0, LONGEST_CURRENCY)}` : price }]
  // Decimals given as text are formatted digit by digit (ECMA-402, Intl mathematical values).
  return format
    .formatToParts(price as Intl.StringNumericLiteral)
    .map(({ type, value }) => ({ kind: type === 'currency' ? 'symbol' : 'amount', text: value }))
}

export function priceText(price: string | null, currency: string | null, locale: string): string {
  return priceParts(price, currency, locale)
    .map(({ text }) => text)
    .join('')
}

/** What a card says that the product costs: of one with dearer variants "¥59.00 起". */
export function shownPrice(product: CardEvent, texts: Texts): PricePart[] {
  const parts = priceParts(product.price, product.currency, texts.locale)
  if (!product.is_from_price || parts.length === 0) return parts
  const [before = '', after = ''] = texts.fromPrice('\n').split('\n')
  const word = (text: string): PricePart[] => (text ? [{ kind: 'from', text }] : [])
  return [...word(before), ...parts, ...word(after)]
}

export function shownPriceText(product: CardEvent, texts: Texts): string {
  return shownPrice(product, texts)
    .map(({ text }) => text)
    .join('')
}

function formatFor(currency: string | null, locale: string): Intl.NumberFormat | null {
  if (currency === null) return new Intl.NumberFormat(locale, { minimumFractionDigits: 2 })
  try {
    return new Intl.NumberFormat(locale, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' })
  } catch {
    return null
  }
}
