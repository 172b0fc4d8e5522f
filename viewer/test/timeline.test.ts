import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PtsClock, type StreamClock } from '../src/model/clock'
import { Timeline } from '../src/model/timeline'
import { cardEvent } from './events'

const pts = new PtsClock()

function ids(passage: { due: readonly { card_id: string }[] }): string[] {
  return passage.due.map(({ card_id }) => card_id)
}

describe('Timeline', () => {
  it('gives every event once, in order, not before its frame and at the first frame after', () => {
    const times = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { maxLength: 30 })
    fc.assert(
      fc.property(times, (all) => {
        const sorted = all.toSorted((a, b) => a - b)
        const timeline = new Timeline(() => 0)
        for (const pts_s of sorted) timeline.add(cardEvent({ pts_s }))
        const seen: number[] = []
        for (let mediaTimeS = 0; mediaTimeS <= 101; mediaTimeS += 0.04) {
          for (const event of timeline.advance(pts, mediaTimeS).due) {
            expect(event.pts_s).toBeLessThanOrEqual(mediaTimeS + 0.021)
            expect(event.pts_s).toBeGreaterThan(mediaTimeS - 0.061)
            seen.push(event.pts_s)
          }
        }
        expect(seen).toEqual(sorted)
      }),
    )
  })

  it('gives what is past at once, all together', () => {
    const timeline = new Timeline(() => 0)
    timeline.add(cardEvent({ card_id: 'a', pts_s: 1 }))
    timeline.add(cardEvent({ card_id: 'a', pts_s: 2, event: 'withdraw' }))
    expect(ids(timeline.advance(pts, 10))).toEqual(['a', 'a'])
  })

  it('begins anew when the viewer goes back', () => {
    const timeline = new Timeline(() => 0)
    timeline.add(cardEvent({ card_id: 'a', pts_s: 5 }))
    timeline.add(cardEvent({ card_id: 'b', pts_s: 10 }))
    timeline.advance(pts, 12)
    expect(timeline.advance(pts, 7)).toMatchObject({ rewound: true, due: [{ card_id: 'a' }] })
    expect(timeline.advance(pts, 9.9).due).toEqual([])
    expect(ids(timeline.advance(pts, 10))).toEqual(['b'])
  })

  it('does not take the coarseness of a clock for a seek', () => {
    const timeline = new Timeline(() => 0)
    timeline.add(cardEvent({ pts_s: 5 }))
    timeline.advance(pts, 5)
    expect(timeline.advance(pts, 4.7)).toEqual({ rewound: false, due: [] })
  })

  it('waits for a clock that does not know yet, but not for ever', () => {
    let nowS = 0
    const timeline = new Timeline(() => nowS)
    const unknowing: StreamClock = { untilShownS: () => undefined }
    timeline.add(cardEvent({ card_id: 'a' }))
    expect(timeline.advance(unknowing, 0).due).toEqual([])
    nowS = 5
    expect(ids(timeline.advance(unknowing, 0))).toEqual(['a'])
  })

  it('takes what is no number for not knowing', () => {
    let nowS = 0
    const timeline = new Timeline(() => nowS)
    timeline.add(cardEvent())
    const clock = { untilShownS: () => Number.NaN }
    expect(timeline.advance(clock, 0).due).toEqual([])
    nowS = 5
    expect(timeline.advance(clock, 0.1).due).toHaveLength(1)
    expect(timeline.advance(clock, 0.2)).toEqual({ rewound: false, due: [] })
  })

  it('shows what is on another time line', () => {
    const timeline = new Timeline(() => 0)
    timeline.add(cardEvent({ card_id: 'a', pts_s: 1e6 }))
    expect(ids(timeline.advance(pts, 0))).toEqual(['a'])
    expect(timeline.advance(pts, -1)).toMatchObject({ rewound: false })
  })

  it('holds nothing by a date for longer than 12 s over what the viewer is behind the live edge', () => {
    for (const [behindS, longestS] of [
      [3, 15],
      [60, 72],
    ] as const) {
      let nowS = 0
      const timeline = new Timeline(() => nowS)
      const clock: StreamClock = { untilShownS: () => 3600, behindS: () => behindS }
      timeline.add(cardEvent({ card_id: 'a' }))
      nowS = longestS - 0.1
      expect(timeline.advance(clock, nowS).due).toEqual([])
      nowS = longestS
      expect(ids(timeline.advance(clock, nowS))).toEqual(['a'])
      timeline.add(cardEvent({ card_id: 'b' }))
      expect(timeline.advance(clock, nowS + 0.1)).toEqual({ rewound: false, due: [] })
    }
  })

  it('holds for as long as it takes what was on the screen before the viewer went back', () => {
    let nowS = 0
    const timeline = new Timeline(() => nowS)
    const clock: StreamClock = { untilShownS: (event, mediaTimeS) => event.pts_s - mediaTimeS, behindS: () => 3 }
    timeline.add(cardEvent({ card_id: 'a', pts_s: 50 }))
    expect(ids(timeline.advance(clock, 50))).toEqual(['a'])
    nowS = 100
    expect(timeline.advance(clock, 10)).toEqual({ rewound: true, due: [] })
    expect(ids(timeline.advance(clock, 50))).toEqual(['a'])
  })

  it('keeps no more than its bound, cards and withdrawals rather than updates', () => {
    const timeline = new Timeline(() => 0)
    timeline.add(cardEvent({ card_id: 'first', pts_s: 50 }))
    for (let count = 0; count < 600; count += 1) timeline.add(cardEvent({ event: 'update', pts_s: 50 }))
    expect(timeline.waiting).toBe(512)
    expect(timeline.dropped).toBe(89)
    expect(ids(timeline.advance(pts, 60))[0]).toBe('first')
  })
})
