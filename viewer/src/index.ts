/**
 * A page or an application imports this; importing it defines `<live-cart>`.
 *
 * transport/  events from the hub, feedback to it;  model/  cards, clocks, their timeline
 * placement/  where a card stands beside its product;  view/  what is drawn, and its texts
 * element.ts  all of it as an element;  element-options.ts  its attributes and their defaults
 */

import type { FeedbackDetail, LiveCartElement, ProblemDetail } from './element'

export { type FeedbackDetail, LiveCartElement, type ProblemDetail } from './element'
export { type BoxXyxyPx, type CardEvent, type CardEventInput, InvalidEvent } from './model/card-event'
export { type HlsLike, NoClock, ProgramDateTimeClock, PtsClock, type StreamClock } from './model/clock'

import './register'

declare global {
  interface HTMLElementTagNameMap {
    'live-cart': LiveCartElement
  }

  interface HTMLElementEventMap {
    'livecart-impression': CustomEvent<FeedbackDetail>
    'livecart-click': CustomEvent<FeedbackDetail>
    'livecart-close': CustomEvent<FeedbackDetail>
    'livecart-wrong': CustomEvent<FeedbackDetail>
    'livecart-dwell': CustomEvent<FeedbackDetail>
    'livecart-problem': CustomEvent<ProblemDetail>
  }
}
