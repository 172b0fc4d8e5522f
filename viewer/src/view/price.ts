/** Prices as the viewer's language writes them, exact: amounts are never made floating-point numbers. */

export interface PricePart {
  readonly kind: 'symbol' | 'amount'
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

function formatFor(currency: string | null, locale: string): Intl.NumberFormat | null {
  if (currency === null) return new Intl.NumberFormat(locale, { minimumFractionDigits: 2 })
  try {
    return new Intl.NumberFormat(locale, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' })
  } catch {
    return null
  }
}
