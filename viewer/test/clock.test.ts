import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
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
})
