/**
 * When the frame of an event is on this viewer's screen.
 *
 * A viewer sees the stream seconds after it was captured. A clock says how far away an event's frame still is, from the
 * media time of the frame that is on the screen now.
 */

import type { CardEvent } from './card-event'

/** A page may give its own as the element's `clock`. */
export interface StreamClock {
  /**
   * Seconds of media until the event's frame is on the screen: 0 or less once it is or was, undefined while unknown.
   *
   * @param mediaTimeS media time of the frame on the screen, on the time line of `video.currentTime`.
   */
  untilShownS(event: CardEvent, mediaTimeS: number): number | undefined
  /**
   * Seconds of media from the frame on the screen to the live edge; undefined: not known. With it no event is held for
   * much longer: a clock that reads dates may be wrong about them.
   */
  behindS?(mediaTimeS: number): number | undefined
}

/** What is used of an hls.js player. */
export interface HlsLike {
  /** EXT-X-PROGRAM-DATE-TIME at `media.currentTime`. */
  readonly playingDate: Date | null
  readonly currentLevel?: number
  readonly levels?: readonly {
    readonly details?: { readonly fragments: readonly { readonly rawProgramDateTime: string | null }[] }
  }[]
}

/** Zones are multiples of it. A viewer's own clock is trusted to half of it. */
const ZONE_STEP_S = 900
/** UTC-12 to UTC+14; the browser's own zone may be as far on the other side. */
const FURTHEST_ZONE_S = 26 * 3600
const SAYS_ZONE = /(?:Z|[+-]\d\d(?::?\d\d)?)$/i

/** A video that knows its start date itself: Safari, which plays HLS without help. */
type DatedVideo = HTMLVideoElement & { getStartDate?: () => Date }

/** For players without a delay worth speaking of, such as WebRTC: every event is due when it comes. */
export class NoClock implements StreamClock {
  untilShownS(): number {
    return 0
  }
}

/** For videos whose time line is the stream's own, moved by a constant. */
export class PtsClock implements StreamClock {
  /** @param offsetS `video.currentTime` minus `pts_s` of the same frame. */
  constructor(private readonly offsetS = 0) {}

  untilShownS(event: CardEvent, mediaTimeS: number): number {
    return event.pts_s + this.offsetS - mediaTimeS
  }
}

/** For HLS with EXT-X-PROGRAM-DATE-TIME, held against the time of capture. */
export class ProgramDateTimeClock implements StreamClock {
  /** The last frame asked about: the player looks its date up in the playlist, once for all events that wait. */
  private asked: { readonly mediaTimeS: number; readonly dateS: number | undefined } | null = null

  /**
   * @param video the video that plays.
   * @param hls gives the hls.js player, if one plays; it is asked each time, as it may come late.
   * @param offsetS the playlist's date minus `captured_at_s` of the same frame: how far the packager's clock, or the
   *   way to it, is behind.
   */
  constructor(
    private readonly video: HTMLVideoElement,
    private readonly hls: () => HlsLike | null,
    private readonly offsetS = 0,
  ) {}

  untilShownS(event: CardEvent, mediaTimeS: number): number | undefined {
    if (this.asked?.mediaTimeS !== mediaTimeS || this.asked.dateS === undefined) {
      this.asked = { mediaTimeS, dateS: this.dateS(mediaTimeS) }
    }
    const { dateS } = this.asked
    return dateS === undefined ? undefined : event.captured_at_s + this.offsetS - dateS
  }

  /** 0 where the video does not say. */
  behindS(mediaTimeS: number): number {
    const { seekable } = this.video
    return seekable?.length ? Math.max(0, seekable.end(seekable.length - 1) - mediaTimeS) : 0
  }

  /** The playlist's date of the frame on the screen, UNIX time in seconds. */
  private dateS(mediaTimeS: number): number | undefined {
    const dateS = this.writtenDateS(mediaTimeS)
    return dateS === undefined || this.saysZone() ? dateS : dateS - zoneErrorS(dateS + this.behindS(mediaTimeS))
  }

  private saysZone(): boolean {
    const hls = this.hls()
    const fragments = hls?.levels?.[hls.currentLevel ?? 0]?.details?.fragments ?? []
    const raw = fragments.find(({ rawProgramDateTime }) => rawProgramDateTime)?.rawProgramDateTime
    return !!raw && SAYS_ZONE.test(raw.trim())
  }

  private writtenDateS(mediaTimeS: number): number | undefined {
    const playing = this.hls()?.playingDate
    if (playing) return playing.getTime() / 1000 + (mediaTimeS - this.video.currentTime)
    const startMs = (this.video as DatedVideo).getStartDate?.().getTime()
    // A video without dates has a start date that is no number.
    return startMs === undefined || Number.isNaN(startMs) ? undefined : startMs / 1000 + mediaTimeS
  }
}

/**
 * How far a date is off for want of a zone: browsers take one without for their own. The live edge is now, so that what
 * it is off by, in quarters of an hour, is the zone.
 */
function zoneErrorS(edgeS: number): number {
  const offS = edgeS - Date.now() / 1000
  return Math.abs(offS) > FURTHEST_ZONE_S ? 0 : Math.round(offS / ZONE_STEP_S) * ZONE_STEP_S
}

export type ClockName = 'none' | 'pts' | 'program-date-time'
