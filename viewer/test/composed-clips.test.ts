/**
 * Events of the live system over clips composed with real hosts (benchmarks/bench_placement.py): no card stands on a
 * face or on the product. Beside the events, the file has what was where five times a second, so that a card is held
 * against faces as they move on until the next event, too.
 */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type BoxXyxyPx, type CardEvent, parseCardEvent } from '../src/model/card-event'
import { onScreen, pictureRect, visiblePicture } from '../src/placement/picture'
import type { Placement } from '../src/placement/placement'
import { overlapArea, type Rect } from '../src/placement/rect'
import { Placer } from '../src/view/placer'

interface Moment {
  readonly t_s: number
  readonly products: Readonly<Record<string, BoxXyxyPx>>
  readonly faces: readonly BoxXyxyPx[]
}

interface Clip {
  readonly name: string
  readonly width: number
  readonly height: number
  readonly events: readonly Record<string, unknown>[]
  readonly moments: readonly Moment[]
}

const FILE = process.env.COMPOSED_CLIPS ?? 'test/composed-clips.json'
const { clips } = JSON.parse(readFileSync(FILE, 'utf8')) as { clips: readonly Clip[] }

/** A head that turns quickly is told of with the next event only: other recordings than the kept one may show it. */
const MOST_MOMENTS_ON_FACES = process.env.COMPOSED_CLIPS ? 0.03 : 0

/** As styles.css lays the variants out. */
const SIZES = [
  { variant: 'full', width: 300, height: 190 },
  { variant: 'compact', width: 224, height: 150 },
  { variant: 'slim', width: 124, height: 210 },
  { variant: 'bar', width: 336, height: 62 },
]
const SCREENS = [
  { name: 'phone', width: 390, height: 694, fit: 'contain' },
  { name: 'phone, cover', width: 390, height: 844, fit: 'cover' },
  { name: 'tablet', width: 820, height: 620, fit: 'contain' },
  { name: 'desktop', width: 1440, height: 810, fit: 'contain' },
] as const

interface Tally {
  placements: number
  docked: number
  hidden: number
  onFaces: number
  onProducts: number
  moments: number
  momentsOnFaces: number
  momentsOnProducts: number
}

function play(clip: Clip, screen: (typeof SCREENS)[number]): Tally {
  const stage: Rect = { x: 0, y: 0, width: screen.width, height: screen.height }
  const frame = { width: clip.width, height: clip.height }
  const picture = pictureRect(stage, frame, screen.fit, '50% 50%')
  const geometry = { stage, picture, visible: visiblePicture(stage, picture), reserved: [] }
  const covers = (card: Rect, boxes: readonly BoxXyxyPx[]) =>
    boxes.some((box) => overlapArea(card, onScreen(box, frame, picture)) > 0.01)
  const tally: Tally = {
    placements: 0,
    docked: 0,
    hidden: 0,
    onFaces: 0,
    onProducts: 0,
    moments: 0,
    momentsOnFaces: 0,
    momentsOnProducts: 0,
  }
  const placer = new Placer()
  const events = clip.events.map(complete(clip))
  events.forEach((event, index) => {
    if (event.event === 'withdraw') return
    if (event.event === 'card') placer.forgetCard()
    const { card } = placer.find(geometry, event, SIZES, [])
    tally.placements += 1
    if (!card) tally.hidden += 1
    if (!card) return
    if (card.kind === 'docked') tally.docked += 1
    if (covers(card, event.avoid ?? [])) tally.onFaces += 1
    if (event.box && card.kind === 'free' && covers(card, [event.box])) tally.onProducts += 1
    const until = events[index + 1]?.pts_s ?? Number.POSITIVE_INFINITY
    follow(
      card,
      clip.moments.filter(({ t_s }) => t_s >= event.pts_s && t_s < until),
      event.sku,
    )
  })
  return tally

  function follow(card: Placement, moments: readonly Moment[], sku: string): void {
    for (const { faces, products } of moments) {
      tally.moments += 1
      if (covers(card, faces)) tally.momentsOnFaces += 1
      const product = products[sku]
      if (product && card.kind === 'free' && covers(card, [product])) tally.momentsOnProducts += 1
    }
  }
}

function complete(clip: Clip): (event: Record<string, unknown>) => CardEvent {
  return (event) =>
    parseCardEvent({
      ...event,
      name: 'a product',
      url: 'https://shop.example.com/item',
      frame_width: clip.width,
      frame_height: clip.height,
    })
}

/** Faces that the finer search saw in the event's picture, and that no rectangle of the event meets. */
function unknownFaces(clip: Clip, event: CardEvent): readonly BoxXyxyPx[] {
  const away = ({ t_s }: Moment) => Math.abs(t_s - event.pts_s)
  const moment = clip.moments.reduce((best, each) => (away(each) < away(best) ? each : best))
  const whole = { x: 0, y: 0, width: clip.width, height: clip.height }
  const known = (event.avoid ?? []).map((box) => onScreen(box, whole, whole))
  return moment.faces.filter((face) => !known.some((rect) => overlapArea(rect, onScreen(face, whole, whole)) > 0))
}

it('has faces in every clip', () => {
  expect(clips.every(({ events }) => events.some(({ avoid }) => Array.isArray(avoid) && avoid.length > 0))).toBe(true)
})

describe.each(clips)('$name', (clip) => {
  it('every face that is in the picture of a card or an update is known', () => {
    const shown = clip.events.map(complete(clip)).filter(({ event }) => event !== 'withdraw')
    expect(shown.length).toBeGreaterThan(0)
    expect(shown.flatMap((event) => unknownFaces(clip, event))).toEqual([])
  })

  it.each(SCREENS)('no card stands on a face or on the product: $name', (screen) => {
    const tally = play(clip, screen)
    if (process.env.COMPOSED_CLIPS) console.log(clip.name, screen.name, JSON.stringify(tally))
    expect(tally.placements).toBeGreaterThan(0)
    expect(tally).toMatchObject({ onFaces: 0, onProducts: 0, hidden: 0, docked: 0 })
    expect(tally.momentsOnFaces / tally.moments).toBeLessThanOrEqual(MOST_MOMENTS_ON_FACES)
  })
})
