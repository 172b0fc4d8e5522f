import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { asOfNow, InvalidEvent, parseCardEvent } from '../src/model/card-event'
import { DismissTimer } from '../src/model/dismiss-timer'
import { priceParts, priceText, shownPriceText } from '../src/view/price'
import { textsFor } from '../src/view/texts'
import { cardEvent } from './events'

const LEAST = { card_id: 'c', sku: 's', name: 'n', url: 'https://shop.example.com/1' }

describe('parseCardEvent', () => {
  it('takes the least there is to say', () => {
    expect(parseCardEvent(LEAST)).toMatchObject({ event: 'card', box: null, price: null, avoid: null, image_url: null })
  })

  it.each([
    ['url', 'http://shop.example.com/1'],
    ['url', 'javascript:alert(1)'],
    ['url', '/item/1'],
    ['url', undefined],
    ['sku', ''],
    ['name', 7],
    ['box', [1, 2, 3]],
    ['box', [1, 2, 3, null]],
    ['avoid', [[1]]],
    ['pts_s', 'soon'],
    ['event', 'open'],
    ['price', 12.9],
    ['schema', 2],
    ['selling', 'cheap'],
    ['selling', { stock_left: '3' }],
    ['selling', { coupon: 7 }],
  ])('refuses %s: %o', (field, value) => {
    expect(() => parseCardEvent({ ...LEAST, [field]: value })).toThrow(InvalidEvent)
  })

  it('puts the corners of a box in order', () => {
    expect(parseCardEvent({ ...LEAST, box: [30, 40, 10, 20] }).box).toEqual([10, 20, 30, 40])
  })

  it('leaves out a picture that may not be shown', () => {
    expect(parseCardEvent({ ...LEAST, image_url: 'https://img.example.com/1.jpg' }).image_url).toBe(
      'https://img.example.com/1.jpg',
    )
    expect(parseCardEvent({ ...LEAST, image_url: 'data:image/svg+xml,<svg/>' }).image_url).toBeNull()
  })

  it('reads links where the browser is as old as docs/viewer.md allows', () => {
    vi.spyOn(URL, 'canParse').mockImplementation(() => {
      throw new TypeError('URL.canParse is not a function')
    })
    expect(parseCardEvent({ ...LEAST, image_url: '/1.jpg' }).url).toBe('https://shop.example.com/1')
    expect(() => parseCardEvent({ ...LEAST, url: 'https://' })).toThrow(InvalidEvent)
    vi.restoreAllMocks()
  })

  it('keeps a name as it is: text, never HTML', () => {
    expect(cardEvent({ name: '<img src=x onerror=alert(1)>' }).name).toBe('<img src=x onerror=alert(1)>')
  })
})

describe('prices', () => {
  it('are written as the language does', () => {
    expect(priceText('12.90', 'CNY', 'zh-CN')).toBe('¥12.90')
    expect(priceText('1289', 'CNY', 'en')).toBe('¥1,289.00')
    expect(priceText('1200', 'JPY', 'en')).toBe('¥1,200')
  })

  it('are exact where a floating-point number is not', () => {
    expect(priceText('999999999999.99', 'CNY', 'en')).toBe('¥999,999,999,999.99')
  })

  it('mark the symbol', () => {
    expect(priceParts('5.00', 'CNY', 'zh-CN')[0]).toEqual({ kind: 'symbol', text: '¥' })
  })

  it.each([null, '', 'free', '-1', '1e3'])('are left out where there is none: %o', (price) => {
    expect(priceText(price, 'CNY', 'zh-CN')).toBe('')
  })

  it('say that variants cost more', () => {
    const card = cardEvent({ price: '59', currency: 'CNY', is_from_price: true })
    expect(shownPriceText(card, textsFor('zh-CN'))).toBe('¥59.00 起')
    expect(shownPriceText(card, textsFor('en'))).toBe('from ¥59.00')
    expect(shownPriceText({ ...card, price: null }, textsFor('en'))).toBe('')
    expect(cardEvent().is_from_price).toBe(false)
  })

  it('are the usual ones again at the end of a sale', () => {
    vi.useFakeTimers({ now: 1_000_000 })
    const selling = { usual_price: '79.00', sale_ends_at_s: 1001, stock_left: null, coupon: null, limit_per_buyer: 2 }
    const card = cardEvent({ price: '59.90', selling })
    expect(asOfNow(card)).toBe(card)
    vi.setSystemTime(1_001_000)
    const over = { ...selling, usual_price: null, sale_ends_at_s: null }
    expect(asOfNow(card)).toEqual({ ...card, price: '79.00', selling: over })
    vi.useRealTimers()
  })

  it('name a currency that nobody knows', () => {
    expect(priceText('5.00', 'points', 'zh-CN')).toBe('5.00 points')
    expect(priceText('5.00', 'x'.repeat(10_000), 'zh-CN').length).toBeLessThan(20)
    expect(priceText('5', null, 'zh-CN')).toBe('5.00')
  })
})

describe('textsFor', () => {
  it.each([
    ['', 'zh-CN'],
    ['zh-CN', 'zh-CN'],
    ['en', 'en'],
    ['en-GB', 'en'],
    ['fr', 'zh-CN'],
  ])('%o', (language, locale) => {
    expect(textsFor(language).locale).toBe(locale)
  })
})

describe('DismissTimer', () => {
  let ended: number
  let timer: DismissTimer

  beforeEach(() => {
    vi.useFakeTimers()
    ended = 0
    timer = new DismissTimer(
      () => {
        ended += 1
      },
      () => Date.now(),
    )
  })

  afterEach(() => vi.useRealTimers())

  it('ends once', () => {
    timer.start(6000)
    vi.advanceTimersByTime(5999)
    expect(ended).toBe(0)
    vi.advanceTimersByTime(60_000)
    expect(ended).toBe(1)
  })

  it('goes on where it was when the last hold is lifted', () => {
    timer.start(6000)
    vi.advanceTimersByTime(4000)
    timer.hold('hover', true)
    timer.hold('focus', true)
    vi.advanceTimersByTime(60_000)
    timer.hold('hover', false)
    vi.advanceTimersByTime(60_000)
    timer.hold('focus', false)
    vi.advanceTimersByTime(1999)
    expect(ended).toBe(0)
    vi.advanceTimersByTime(1)
    expect(ended).toBe(1)
  })

  it('does not begin while something holds it', () => {
    timer.hold('page-hidden', true)
    timer.start(1000)
    vi.advanceTimersByTime(9000)
    expect(ended).toBe(0)
    timer.hold('page-hidden', false)
    vi.advanceTimersByTime(1000)
    expect(ended).toBe(1)
  })

  it('does not end when it was stopped, held or not', () => {
    timer.start(1000)
    timer.stop()
    timer.hold('hover', true)
    timer.hold('hover', false)
    vi.advanceTimersByTime(9000)
    expect(ended).toBe(0)
  })
})
