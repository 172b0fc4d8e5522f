/** What a page or an application may import. Importing it defines `<live-cart>`. */

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
