/** The element's attributes: their names, and how they are read. */

import type { ClockName } from './model/clock'
import type { TransportName } from './transport/channel'
import type { PresenterSettings } from './view/presenter'
import { textsFor } from './view/texts'

export const CONNECTION_ATTRIBUTES = ['src', 'room', 'ticket', 'transport'] as const
export const VIEW_ATTRIBUTES = ['lang', 'reserved', 'dismiss-after', 'disclosure', 'overlay'] as const
export const CLOCK_ATTRIBUTES = ['clock', 'clock-offset'] as const
export const OBSERVED_ATTRIBUTES = [
  ...CONNECTION_ATTRIBUTES,
  ...VIEW_ATTRIBUTES,
  ...CLOCK_ATTRIBUTES,
  'for',
  'theme',
] as const

/** Less would not be read to the end. */
export const LEAST_DISMISS_S = 3
export const DEFAULT_DISMISS_S = 6
/** A day. Timers of browsers end at once when they are to last more than 24. */
const LONGEST_DISMISS_S = 86_400

export function presenterSettings(element: HTMLElement): PresenterSettings {
  const texts = textsFor(element.getAttribute('lang') ?? '')
  return {
    texts,
    disclosure: element.getAttribute('disclosure') ?? texts.disclosure,
    dismissAfterS: dismissAfterS(element),
    reserved: usableSelector(element.getAttribute('reserved') ?? ''),
  }
}

export function dismissAfterS(element: HTMLElement): number {
  const seconds = Number.parseFloat(element.getAttribute('dismiss-after') ?? '')
  return Number.isFinite(seconds) ? Math.min(LONGEST_DISMISS_S, Math.max(LEAST_DISMISS_S, seconds)) : DEFAULT_DISMISS_S
}

export function clockName(element: HTMLElement): ClockName {
  const name = element.getAttribute('clock')
  return name === 'pts' || name === 'program-date-time' ? name : 'none'
}

export function clockOffsetS(element: HTMLElement): number {
  const seconds = Number.parseFloat(element.getAttribute('clock-offset') ?? '')
  return Number.isFinite(seconds) ? seconds : 0
}

export function transportName(element: HTMLElement): TransportName {
  return element.getAttribute('transport') === 'eventsource' ? 'eventsource' : 'websocket'
}

/** A selector that the browser cannot read reserves nothing, and the page's author reads why. */
function usableSelector(selector: string): string {
  try {
    if (selector) document.createDocumentFragment().querySelector(selector)
    return selector
  } catch {
    console.warn(`live-cart: reserved="${selector}" is not a CSS selector; nothing is reserved`)
    return ''
  }
}
