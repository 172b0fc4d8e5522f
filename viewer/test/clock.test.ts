import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { NoClock, ProgramDateTimeClock, PtsClock } from '../src/model/clock'
import { cardEvent } from './events'

const seconds = fc.double({ min: 0, max: 1e6, noNaN: true })

describe('clocks', () => {
  it('none: everything is due', () => {
    expect(new NoClock().untilShownS()).toBe(0)
  })

  it('pts: as far as the stream has to play, wherever its time line begins', () => {
    fc.assert(
      fc.property(seconds, seconds, fc.double({ min: -1e4, max: 1e4, noNaN: true }), (pts_s, mediaTimeS, offsetS) => {
        const event = cardEvent({ pts_s })
        const untilS = new PtsClock(offsetS).untilShownS(event, mediaTimeS)
        // Played on by that much, it is due.
        expect(new PtsClock(offsetS).untilShownS(event, mediaTimeS + untilS)).toBeCloseTo(0, 5)
      }),
    )
  })

  it('program-date-time: asks hls.js which date plays, corrected to the frame on the screen', () => {
    const video = { currentTime: 50 } as HTMLVideoElement
    const clock = new ProgramDateTimeClock(video, () => ({ playingDate: new Date(1_000_000_000_000) }))
    const event = cardEvent({ captured_at_s: 1_000_000_004 })
    expect(clock.untilShownS(event, 50)).toBeCloseTo(4)
    expect(clock.untilShownS(event, 49.5)).toBeCloseTo(4.5)
  })

  it('program-date-time: asks the player once a frame', () => {
    let asked = 0
    const hls = {
      get playingDate() {
        asked += 1
        return new Date(0)
      },
    }
    const clock = new ProgramDateTimeClock({ currentTime: 0 } as HTMLVideoElement, () => hls)
    for (let count = 0; count < 10; count += 1) clock.untilShownS(cardEvent(), 1)
    expect(asked).toBe(1)
  })

  it('program-date-time: takes the start date of a video that knows it', () => {
    const video = { currentTime: 0, getStartDate: () => new Date(2_000_000) } as unknown as HTMLVideoElement
    const clock = new ProgramDateTimeClock(video, () => null, 1.5)
    expect(clock.untilShownS(cardEvent({ captured_at_s: 2010 }), 3)).toBeCloseTo(8.5)
  })

  it('program-date-time: does not know without a date', () => {
    const video = { currentTime: 0, getStartDate: () => new Date(Number.NaN) } as unknown as HTMLVideoElement
    expect(new ProgramDateTimeClock(video, () => null).untilShownS(cardEvent(), 3)).toBeUndefined()
    expect(
      new ProgramDateTimeClock({ currentTime: 0 } as HTMLVideoElement, () => ({ playingDate: null })).untilShownS(
        cardEvent(),
        3,
      ),
    ).toBeUndefined()
  })

  describe('program-date-time without a zone', () => {
    const nowS = Date.UTC(2026, 5, 1, 12) / 1000
    const delayS = 6
    const event = cardEvent({ captured_at_s: nowS - 1 })

    /** What a browser makes of a UTC date that says no zone, 6 s behind the live edge. */
    function clockOf(browserIsAheadS: number, raw: string | null, behindS = delayS): ProgramDateTimeClock {
      const seekable = { length: 1, end: () => 100 + behindS }
      const video = { currentTime: 100, seekable } as unknown as HTMLVideoElement
      const details = { fragments: [{ rawProgramDateTime: raw }] }
      const playingDate = new Date((nowS - behindS - browserIsAheadS) * 1000)
      return new ProgramDateTimeClock(video, () => ({ playingDate, currentLevel: 0, levels: [{ details }] }))
    }

    beforeEach(() => {
      vi.useFakeTimers({ now: nowS * 1000 })
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    it.each([-12, -5, -3.5, 0, 1, 2, 5.75, 8, 14])('finds the zone from the live edge: UTC%d', (hours) => {
      for (const raw of ['2026-06-01T12:00:00.000', null]) {
        expect(clockOf(hours * 3600, raw).untilShownS(event, 100)).toBeCloseTo(delayS - 1)
      }
    })

    it('finds it too where the viewer went back by an hour', () => {
      expect(clockOf(3600, null, 3700).untilShownS(event, 100)).toBeCloseTo(3699)
    })

    it.each(['2026-06-01T12:00:00Z', '2026-06-01T20:00:00.5+08:00', '2026-06-01T20:00:00+0800 '])(
      'leaves a date alone that says one: %s',
      (raw) => {
        expect(clockOf(3600, raw).untilShownS(event, 100)).toBeCloseTo(3600 + delayS - 1)
      },
    )

    it('leaves a date alone that no zone explains', () => {
      expect(clockOf(30 * 3600, null).untilShownS(event, 100)).toBeCloseTo(30 * 3600 + delayS - 1)
    })
  })
})
