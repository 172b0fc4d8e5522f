/** Holds events back until their frame is on the screen, and takes them back when the viewer seeks to before it. */

import type { CardEvent } from './card-event'
import type { StreamClock } from './clock'

/** The room keeps as many events for those who resume; more would be another show. */
const LARGEST_LOG = 512
/** How long a clock may take to know where an event is: a player's first fragments. Then the event is shown anyway. */
const LONGEST_UNKNOWN_S = 5
/** What is further away than any pause is no delay but another time line: the stream began anew. */
const FURTHEST_AHEAD_S = 4 * 3600
/**
 * The longest that a date in a playlist is believed, over how far the viewer is behind the playlist's edge: that edge
 * itself lags by encoding and packaging, with segments of 6 s by 6 to 8 s.
 */
const LONGEST_HELD_S = 12
/** Half a frame of 25 a second: the frame on the screen is the nearest to the event's. */
const TOLERANCE_S = 0.02
/** Less is not a seek but the coarseness of `currentTime`. */
const REWIND_S = 0.5

interface Entry {
  readonly event: CardEvent
  readonly receivedAtS: number
  applied: boolean
  /** What first said that it is due: from then on it lies where the clock says, or is past. */
  dueBy: 'clock' | 'patience' | null
}

/** What the passing of time did. */
export interface Passage {
  /** The viewer went back to before something that was shown: `due` begins anew, from the oldest event kept. */
  readonly rewound: boolean
  /** Events whose frame is on the screen now, in their order. */
  readonly due: CardEvent[]
}

export class Timeline {
  private log: Entry[] = []
  private latestMediaTimeS = Number.NEGATIVE_INFINITY
  /** Events that were dropped because too many waited. */
  dropped = 0

  /** @param now a clock that only goes forward, seconds. */
  constructor(private readonly now: () => number = () => performance.now() / 1000) {}

  /** Events that still wait. */
  get waiting(): number {
    return this.log.reduce((count, entry) => count + (entry.applied ? 0 : 1), 0)
  }

  add(event: CardEvent): void {
    this.log.push({ event, receivedAtS: this.now(), applied: false, dueBy: null })
    if (this.log.length > LARGEST_LOG) this.dropOne()
  }

  clear(): void {
    this.log = []
  }

  /** What is due at this media time. */
  advance(clock: StreamClock, mediaTimeS: number): Passage {
    const forward = mediaTimeS >= this.latestMediaTimeS
    this.latestMediaTimeS = mediaTimeS
    // Asked on every frame: most of the time there is nothing to do.
    if (forward && this.waiting === 0) return { rewound: false, due: [] }
    const untilS = this.log.map((entry) =>
      entry.dueBy === 'patience' ? 0 : clock.untilShownS(entry.event, mediaTimeS),
    )
    const rewound = this.log.some((entry, index) => entry.applied && liesAhead(untilS[index]))
    if (rewound) for (const entry of this.log) entry.applied = false
    const behindS = clock.behindS?.(mediaTimeS) ?? Number.POSITIVE_INFINITY
    const longestS = behindS + LONGEST_HELD_S
    const due = this.log.filter((entry, index) => !entry.applied && this.isDue(entry, untilS[index], longestS))
    for (const entry of due) entry.applied = true
    return { rewound, due: due.map((entry) => entry.event) }
  }

  private isDue(entry: Entry, untilS: number | undefined, longestS: number): boolean {
    const heldS = this.now() - entry.receivedAtS
    // No number is what a player makes of a playlist's date that cannot be read.
    const isUnknown = untilS === undefined || Number.isNaN(untilS)
    if (!isUnknown && (untilS <= TOLERANCE_S || untilS >= FURTHEST_AHEAD_S)) {
      entry.dueBy ??= 'clock'
      return true
    }
    if (entry.dueBy === 'clock' && !isUnknown) return false
    if (heldS < (isUnknown ? LONGEST_UNKNOWN_S : longestS)) return false
    if (!isUnknown) entry.dueBy = 'patience'
    return true
  }

  /** Applied ones first, then updates, then the oldest. */
  private dropOne(): void {
    const applied = this.log.findIndex((entry) => entry.applied)
    const update = this.log.findIndex((entry) => entry.event.event === 'update')
    const index = applied >= 0 ? applied : Math.max(update, 0)
    if (applied < 0) this.dropped += 1
    this.log.splice(index, 1)
  }
}

function liesAhead(untilS: number | undefined): boolean {
  return untilS !== undefined && untilS > REWIND_S && untilS < FURTHEST_AHEAD_S
}
