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
}

/** What is used of an hls.js player. */
export interface HlsLike {
  /** EXT-X-PROGRAM-DATE-TIME at `media.currentTime`. */
  readonly playingDate: Date | null
}

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

  /** The playlist's date of the frame on the screen, UNIX time in seconds. */
  private dateS(mediaTimeS: number): number | undefined {
    const playing = this.hls()?.playingDate
    if (playing) return playing.getTime() / 1000 + (mediaTimeS - this.video.currentTime)
    const startMs = (this.video as DatedVideo).getStartDate?.().getTime()
    // A video without dates has a start date that is no number.
    return startMs === undefined || Number.isNaN(startMs) ? undefined : startMs / 1000 + mediaTimeS
  }
}

export type ClockName = 'none' | 'pts' | 'program-date-time'
