/** What needs no layout: happy-dom has none. tests/e2e/test_viewer*.py does the rest in a browser. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import '../src/index'
import type { LiveCartElement } from '../src/element'
import { cardEvent } from './events'

let element: LiveCartElement

function make(attributes: Record<string, string> = {}): LiveCartElement {
  const made = document.createElement('live-cart')
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  const video = document.createElement('video')
  video.getBoundingClientRect = () => new DOMRect(0, 0, 1280, 720)
  made.append(video)
  document.body.append(made)
  return made
}

function shadow(selector: string): HTMLElement | null {
  return (element.shadowRoot as ShadowRoot).querySelector<HTMLElement>(selector)
}

/** The card that is not on its way out. */
function card(): HTMLElement | null {
  return shadow('.place:not([inert]) .card')
}

beforeEach(() => {
  sessionStorage.clear()
})

afterEach(() => {
  element.remove()
})

describe('<live-cart>', () => {
  it('draws name, price, reason and one https link', () => {
    element = make()
    element.show(cardEvent({ name: '<b>螺蛳粉</b>' }))
    expect(shadow('.name')?.textContent).toBe('<b>螺蛳粉</b>')
    expect(shadow('.name b')).toBeNull()
    expect(shadow('.price')?.textContent).toBe('¥12.90')
    expect(shadow('.reason')?.textContent).toBe('画面中识别')
    expect(shadow('.disclosure')?.textContent).toBe('广告')
    const link = shadow('.buy') as HTMLAnchorElement
    expect([link.getAttribute('href'), link.target, link.rel]).toEqual([
      'https://shop.example.com/item/1001',
      '_blank',
      'noopener noreferrer',
    ])
  })

  it('says a sale, its end, what is left, coupon and limit, and the usual price alone when it is over', () => {
    vi.useFakeTimers({ now: Date.UTC(2026, 10, 11, 11, 59, 59) })
    element = make({ lang: 'en' })
    const sale_ends_at_s = Date.UTC(2026, 10, 11, 12) / 1000
    const selling = { usual_price: '15.90', sale_ends_at_s, stock_left: 3, coupon: '20 off 200', limit_per_buyer: 2 }
    element.show(cardEvent({ card_id: 'c', sku: 's', selling }))
    expect(shadow('.price')?.textContent).toBe('¥12.90')
    expect(shadow('.usual')?.textContent).toBe('usual price ¥15.90')
    const terms = () => [...(shadow('.card .terms')?.children ?? [])].map(({ textContent }) => textContent)
    expect(terms()).toEqual([expect.stringMatching(/^sale until \d\d:\d\d$/), '3 left', '2 per buyer', '20 off 200'])
    vi.advanceTimersByTime(1000)
    expect(shadow('.price')?.textContent).toBe('¥15.90')
    expect(shadow('.usual')).toBeNull()
    expect(terms()).toEqual(['3 left', '2 per buyer', '20 off 200'])
    vi.useRealTimers()
  })

  it('has no line of terms without any', () => {
    element = make()
    element.show(cardEvent({ price: null }))
    expect(shadow('.cost')).toBeNull()
  })

  it('speaks English, and says what the page wants disclosed', () => {
    element = make({ lang: 'en', disclosure: 'Sponsored' })
    element.show(cardEvent())
    expect(shadow('.buy')?.textContent).toBe('View product')
    expect(shadow('.disclosure')?.textContent).toBe('Sponsored')
    element.disclosure = ''
    expect(shadow('.card .disclosure')).toBeNull()
  })

  it('tells the page what the viewer did, through shadow trees', () => {
    element = make()
    const told: [string, unknown][] = []
    for (const kind of ['impression', 'click', 'close', 'dwell', 'wrong']) {
      document.addEventListener(`livecart-${kind}`, (event) => told.push([kind, (event as CustomEvent).detail]), {
        once: true,
      })
    }
    element.show(cardEvent({ card_id: 'c', sku: 's' }))
    element.addEventListener('click', (event) => event.preventDefault(), { once: true })
    shadow('.buy')?.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, composed: true }))
    shadow('.place:not([inert]) .close')?.click()
    expect(told.map(([kind]) => kind)).toEqual(['impression', 'click', 'close', 'dwell'])
    expect(told[0]?.[1]).toEqual({ card_id: 'c', sku: 's' })
    expect(told[3]?.[1]).toMatchObject({ card_id: 'c', dwell_s: expect.any(Number) })
  })

  it('refuses an event whose link is not https', () => {
    element = make()
    expect(() => element.show({ ...cardEvent(), url: 'http://shop.example.com' })).toThrow(/https/)
    expect(card()).toBeNull()
  })

  it('has a letter in place of a picture, also where the browser cannot cut a text into letters', () => {
    vi.stubGlobal('Intl', { NumberFormat: Intl.NumberFormat })
    element = make()
    element.show(cardEvent({ name: ' émile' }))
    expect(shadow('.place:not([inert]) .tile')?.textContent).toBe('É')
    vi.unstubAllGlobals()
  })

  it('announces politely what came up', () => {
    element = make()
    const announcer = shadow('[role="status"]')
    expect(announcer?.getAttribute('aria-live')).toBe('polite')
    element.show(cardEvent({ name: '螺蛳粉' }))
    expect(announcer?.textContent).toBe('画面中识别：螺蛳粉，¥12.90')
  })

  it('holds a card until its frame plays, by the clock that it is given', () => {
    vi.useFakeTimers()
    element = make()
    let untilS = 1
    element.clock = { untilShownS: () => untilS }
    element.show(cardEvent())
    vi.advanceTimersByTime(1000)
    expect(card()).toBeNull()
    untilS = 0
    vi.advanceTimersByTime(1000)
    expect(card()).not.toBeNull()
    vi.useRealTimers()
  })

  it('dismisses after six seconds, and never before three', () => {
    vi.useFakeTimers()
    element = make({ 'dismiss-after': '1' })
    expect(element.dismissAfter).toBe(3)
    // More than timers can count, which would end at once.
    element.setAttribute('dismiss-after', '9999999')
    element.show(cardEvent())
    vi.advanceTimersByTime(60_000)
    expect(card()).not.toBeNull()
    element.removeAttribute('dismiss-after')
    element.show(cardEvent())
    vi.advanceTimersByTime(5900)
    expect(card()).not.toBeNull()
    vi.advanceTimersByTime(200)
    expect(card()).toBeNull()
    expect(shadow('.tray-button .count')?.textContent).toBe('2')
    vi.useRealTimers()
  })

  it('counts as seen only what can be: not in a hidden page, not off the screen', () => {
    const seen: unknown[] = []
    const note = (event: Event) => seen.push((event as CustomEvent).detail.card_id)
    document.addEventListener('livecart-impression', note)
    const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true)
    element = make()
    element.show(cardEvent({ card_id: 'a' }))
    expect(seen).toEqual([])
    hidden.mockReturnValue(false)
    document.dispatchEvent(new Event('visibilitychange'))
    expect(seen).toEqual(['a'])
    const video = element.querySelector('video') as HTMLVideoElement
    video.getBoundingClientRect = () => new DOMRect(0, 5000, 1280, 720)
    element.show(cardEvent({ card_id: 'b' }))
    expect(seen).toEqual(['a'])
    video.getBoundingClientRect = () => new DOMRect(0, 0, 1280, 720)
    dispatchEvent(new Event('scroll'))
    expect(seen).toEqual(['a', 'b'])
    document.removeEventListener('livecart-impression', note)
    hidden.mockRestore()
  })

  it('counts the time that a card was in front, not that of a hidden page', () => {
    const dwells: number[] = []
    const note = (event: Event) => dwells.push((event as CustomEvent).detail.dwell_s)
    document.addEventListener('livecart-dwell', note)
    let nowS = 100
    const now = vi.spyOn(performance, 'now').mockImplementation(() => nowS * 1000)
    const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(false)
    const turn = (to: boolean) => {
      hidden.mockReturnValue(to)
      document.dispatchEvent(new Event('visibilitychange'))
    }
    element = make()
    element.show(cardEvent({ card_id: 'a' }))
    nowS += 1
    turn(true)
    nowS += 3600
    turn(false)
    nowS += 2
    turn(true)
    nowS += 3600
    element.withdraw('a')
    turn(false)
    expect(dwells).toEqual([3])
    element.show(cardEvent({ card_id: 'b' }))
    nowS += 100_000
    element.withdraw('b')
    expect(dwells).toEqual([3, 86_400])
    document.removeEventListener('livecart-dwell', note)
    hidden.mockRestore()
    now.mockRestore()
  })

  it('stands over the video that is there now, when a player puts in another or it comes late', () => {
    vi.useFakeTimers()
    element = make({ for: 'late' })
    element.show(cardEvent())
    expect(shadow('.stage')?.hidden).toBe(true)
    for (const x of [10, 20]) {
      document.querySelector('#late')?.remove()
      const video = document.createElement('video')
      video.id = 'late'
      video.getBoundingClientRect = () => new DOMRect(x, 0, 1280, 720)
      document.body.append(video)
      vi.advanceTimersByTime(700)
      expect(shadow('.stage')?.hidden).toBe(false)
      expect(shadow('.stage')?.style.left).toBe(`${x}px`)
    }
    document.querySelector('#late')?.remove()
    vi.advanceTimersByTime(700)
    expect(shadow('.stage')?.hidden).toBe(true)
    vi.useRealTimers()
  })

  it.each(['wss://[', 'mailto:hub', 'https://hub:99999'])('goes on with an src that is none: %s', (src) => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue()
    const problems: string[] = []
    const note = (event: Event) => problems.push((event as CustomEvent).detail.problem)
    document.addEventListener('livecart-problem', note)
    element = make({ src, room: 'r' })
    element.show(cardEvent())
    expect(problems).toEqual(['src'])
    expect(card()).not.toBeNull()
    expect(shadow('.stage')?.hidden).toBe(false)
    document.removeEventListener('livecart-problem', note)
    warn.mockRestore()
  })

  it('takes up properties that were set before it was defined', () => {
    element = document.createElement('live-cart')
    Object.defineProperty(element, 'room', { value: 'early', configurable: true, enumerable: true, writable: true })
    document.body.append(element)
    expect(element.getAttribute('room')).toBe('early')
  })

  it('says so when the page reserves with what is no selector', () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue()
    element = make({ reserved: '..' })
    expect(warn).toHaveBeenCalledOnce()
    warn.mockRestore()
  })

  it('remembers in its room what was closed and muted', () => {
    element = make({ room: 'r' })
    element.show(cardEvent({ sku: 'a' }))
    shadow('.place:not([inert]) .close')?.click()
    element.remove()
    element = make({ room: 'r' })
    element.show(cardEvent({ sku: 'a' }))
    expect(card()).toBeNull()
    element.show(cardEvent({ sku: 'b' }))
    expect(card()).not.toBeNull()
    element.mute()
    expect(card()).toBeNull()
    expect(element.muted).toBe(true)
  })

  it('leaves no timer and no listener behind', () => {
    vi.useFakeTimers()
    element = make()
    element.show(cardEvent())
    element.remove()
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })
})
