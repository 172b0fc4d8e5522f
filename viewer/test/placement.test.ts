import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GAP_PX, type Placement, type PlacementInput, place, tether } from '../src/placement/placement'
import { bottom, grown, overlapArea, type Rect, right } from '../src/placement/rect'

const SIZES = [
  { variant: 'full', width: 300, height: 190 },
  { variant: 'compact', width: 224, height: 150 },
  { variant: 'slim', width: 124, height: 210 },
  { variant: 'bar', width: 336, height: 62 },
]
const HOME = { x: 0, y: 1 }
const PICTURE: Rect = { x: 0, y: 0, width: 390, height: 694 }

const rectIn = (bounds: Rect, largest: number) =>
  fc
    .record({
      x: fc.integer({ min: bounds.x - 20, max: right(bounds) }),
      y: fc.integer({ min: bounds.y - 20, max: bottom(bounds) }),
      width: fc.integer({ min: 10, max: largest }),
      height: fc.integer({ min: 10, max: largest }),
    })
    .map((rect): Rect => rect)

/** A picture somewhere in its stage, a product and what is to be kept clear. */
const scenes = fc
  .record({
    picture: fc.record({
      x: fc.integer({ min: 0, max: 300 }),
      y: fc.integer({ min: 0, max: 300 }),
      width: fc.integer({ min: 200, max: 1400 }),
      height: fc.integer({ min: 200, max: 1400 }),
    }),
    bars: fc.integer({ min: 0, max: 200 }),
  })
  .chain(({ picture, bars }) =>
    fc.record({
      picture: fc.constant<Rect>(picture),
      stage: fc.constant<Rect>({
        x: picture.x - bars,
        y: picture.y,
        width: picture.width + 2 * bars,
        height: picture.height,
      }),
      product: fc.option(rectIn(picture, 600)),
      keepClear: fc.array(rectIn(picture, 250), { maxLength: 4 }),
      sizes: fc.constant(SIZES),
      home: fc.constant(HOME),
      previous: fc.constant(null),
    }),
  )

function obstacles({ product, keepClear }: PlacementInput): readonly Rect[] {
  return product ? [product, ...keepClear] : keepClear
}

function covered(card: Rect, rects: readonly Rect[]): number {
  return rects.reduce((sum, rect) => sum + overlapArea(card, rect), 0)
}

function inside(card: Rect, bounds: Rect): boolean {
  const slack = 1e-6
  return (
    card.x >= bounds.x - slack &&
    card.y >= bounds.y - slack &&
    right(card) <= right(bounds) + slack &&
    bottom(card) <= bottom(bounds) + slack
  )
}

/** Whether any whole-pixel position is free, by looking at every one of them. */
function freePlaceExists(input: PlacementInput): boolean {
  for (const size of input.sizes) {
    for (let x = input.picture.x; x <= right(input.picture) - size.width; x += 1) {
      for (let y = input.picture.y; y <= bottom(input.picture) - size.height; y += 1) {
        if (covered({ x, y, width: size.width, height: size.height }, obstacles(input)) === 0) return true
      }
    }
  }
  return false
}

function moved(rect: Rect, dx: number, dy: number): Rect {
  return { ...rect, x: rect.x + dx, y: rect.y + dy }
}

describe('place', () => {
  it('covers nothing where a free place is given, and none but the product where it docks', () => {
    fc.assert(
      fc.property(scenes, (input) => {
        const card = place(input)
        if (!card) return
        const forbidden = card.kind === 'free' ? obstacles(input) : input.keepClear
        expect(covered(card, forbidden)).toBeLessThan(1e-3)
        expect(inside(card, input.stage)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  it('finds a free place inside the picture whenever there is one', () => {
    const small = fc
      .record({
        product: rectIn({ x: 0, y: 0, width: 130, height: 130 }, 100),
        keepClear: fc.array(rectIn({ x: 0, y: 0, width: 130, height: 130 }, 60), { maxLength: 4 }),
      })
      .map(
        (obstacle): PlacementInput => ({
          ...obstacle,
          stage: { x: 0, y: 0, width: 130, height: 130 },
          picture: { x: 0, y: 0, width: 130, height: 130 },
          sizes: [
            { variant: 'a', width: 70, height: 45 },
            { variant: 'b', width: 30, height: 60 },
          ],
          home: HOME,
          previous: null,
        }),
      )
    fc.assert(
      fc.property(small, (input) => {
        const card = place(input)
        expect(card?.kind === 'free').toBe(freePlaceExists(input))
        if (card?.kind === 'free') expect(inside(card, input.picture)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('stays where it is while the box trembles', () => {
    const tremble = fc.array(fc.tuple(fc.integer({ min: -4, max: 4 }), fc.integer({ min: -4, max: 4 })), {
      minLength: 5,
      maxLength: 15,
    })
    fc.assert(
      fc.property(scenes, tremble, (scene, steps) => {
        const { product } = scene
        if (!product) return
        const input = { ...scene, keepClear: [] }
        const first = place(input)
        // A card that stands at its full distance from the product, with room on the picture.
        if (first?.kind !== 'free' || overlapArea(first, grown(product, GAP_PX)) > 1e-3) return
        if (!inside(first, input.picture)) return
        let card: Placement | null = first
        for (const [dx, dy] of steps) {
          card = place({ ...input, product: moved(product, dx, dy), previous: card })
          expect(card).toEqual(first)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('comes to rest when the product goes to and fro', () => {
    fc.assert(
      fc.property(scenes, fc.integer({ min: -6, max: 6 }), fc.integer({ min: -6, max: 6 }), (input, dx, dy) => {
        const { product } = input
        if (!product) return
        let card: Placement | null = place(input)
        const seen: (Placement | null)[] = []
        for (let step = 0; step < 24; step += 1) {
          const there = step % 2 === 0 ? moved(product, dx, dy) : product
          card = place({ ...input, product: there, previous: card })
          seen.push(card)
        }
        // Where there is room to tremble in at both ends it does not jump for ever; where there is none, it has to.
        const roomy = [product, moved(product, dx, dy)].every((end) => {
          const there = { ...input, product: end }
          const fresh = place(there)
          return fresh && inside(fresh, input.picture) && covered(grown(fresh, GAP_PX / 2), obstacles(there)) < 1e-3
        })
        if (roomy) expect(new Set(seen.slice(12).map((each) => JSON.stringify(each))).size).toBe(1)
      }),
      { numRuns: 300 },
    )
  })

  it('stands beside the product, near it and level with it', () => {
    const product = { x: 500, y: 300, width: 200, height: 300 }
    const picture = { x: 0, y: 0, width: 1280, height: 720 }
    const card = place({ stage: picture, picture, product, keepClear: [], sizes: SIZES, home: HOME, previous: null })
    expect(card).toMatchObject({ variant: 'full', kind: 'free', y: 355 })
    expect([500 - GAP_PX - 300, 700 + GAP_PX]).toContain(card?.x)
  })

  it('follows a product that goes away from it', () => {
    const picture = { x: 0, y: 0, width: 1280, height: 720 }
    const product = { x: 500, y: 300, width: 200, height: 300 }
    const input = { stage: picture, picture, product, keepClear: [], sizes: SIZES, home: HOME }
    const before = place({ ...input, previous: null })
    const after = place({ ...input, product: moved(product, -450, 0), previous: before })
    expect(after?.x).toBe(250 + GAP_PX)
  })

  it('takes a letterbox bar where the picture has no room', () => {
    const picture = { x: 400, y: 0, width: 400, height: 600 }
    const stage = { x: 0, y: 0, width: 1200, height: 600 }
    const card = place({ stage, picture, product: picture, keepClear: [], sizes: SIZES, home: HOME, previous: null })
    expect(card?.kind).toBe('free')
    expect(overlapArea(card as Rect, picture)).toBe(0)
  })

  it('docks at an edge, off the face, where the product fills the picture', () => {
    const face = { x: 120, y: 60, width: 150, height: 180 }
    const input = {
      stage: PICTURE,
      picture: PICTURE,
      product: PICTURE,
      keepClear: [face],
      sizes: SIZES,
      home: HOME,
      previous: null,
    }
    const card = place(input) as Placement
    expect(card.kind).toBe('docked')
    expect(overlapArea(card, face)).toBe(0)
    expect(bottom(card)).toBe(bottom(PICTURE) - 8)
    expect(place({ ...input, previous: card })).toEqual(card)
  })

  it('has no place where a face fills the picture', () => {
    const input = {
      stage: PICTURE,
      picture: PICTURE,
      product: null,
      keepClear: [PICTURE],
      sizes: SIZES,
      home: HOME,
      previous: null,
    }
    expect(place(input)).toBeNull()
  })

  it('goes home without a product', () => {
    const input = {
      stage: PICTURE,
      picture: PICTURE,
      product: null,
      keepClear: [],
      sizes: SIZES,
      home: HOME,
      previous: null,
    }
    expect(place(input)).toMatchObject({ x: 8, y: 694 - 190 - 8 })
  })
})

describe('tether', () => {
  const card = { x: 0, y: 0, width: 100, height: 100 }

  it.each([
    [
      { x: 112, y: 20, width: 50, height: 40 },
      { side: 'right', at: 0.4 },
    ],
    [
      { x: -62, y: 50, width: 50, height: 200 },
      { side: 'left', at: 0.75 },
    ],
    [
      { x: 40, y: 112, width: 20, height: 20 },
      { side: 'bottom', at: 0.5 },
    ],
    [
      { x: 0, y: -32, width: 40, height: 20 },
      { side: 'top', at: 0.2 },
    ],
  ])('points at %o', (product, expected) => {
    expect(tether(card, product)).toEqual(expected)
  })

  it('points at nothing that is diagonal, or far away', () => {
    expect(tether(card, { x: 110, y: 110, width: 10, height: 10 })).toBeNull()
    expect(tether(card, { x: 300, y: 20, width: 10, height: 10 })).toBeNull()
  })
})
