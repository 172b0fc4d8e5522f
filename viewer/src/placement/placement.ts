/**
 * Where a card stands: beside the product, never over it, over a face or over what the page reserves.
 *
 * A place that exists is found: the free positions of a card's top left corner are the bounds less every obstacle grown
 * by the card's size, so that if there is any, there is one whose x and y are each an edge of the bounds or of such an
 * obstacle. All of those are tried, and some that look better: in line with the product, and where the card stands now.
 */

import { bottom, grown, overlapArea, type Rect, right, type Size, separation } from './rect'

/** A way to draw the card, with the size that it has then. */
export interface CardSize extends Size {
  readonly variant: string
}

export interface PlacementInput {
  /** All that may be drawn on: the video with its letterbox bars. */
  readonly stage: Rect
  /** The part of the stream's picture that is visible. */
  readonly picture: Rect
  /** The product on the screen; null where it is not in the picture. */
  readonly product: Rect | null
  /** Never covered: faces, and what the page reserves. */
  readonly keepClear: readonly Rect[]
  /** From the one liked best to the smallest. */
  readonly sizes: readonly CardSize[]
  /** Without a product, the corner of the picture (shares, 0 to 1) or the point that the card stands near. */
  readonly home: { readonly x: number; readonly y: number }
  /** Where this card stands now; null for a new one. */
  readonly previous: Placement | null
}

export interface Placement extends Rect {
  readonly variant: string
  /** `free`: covers nothing of the product, faces and reserved areas. `docked`: at an edge, over the product. */
  readonly kind: 'free' | 'docked'
}

/** Distance to the product, faces and reserved areas, and to the picture's edge, where there is room for it. */
export const GAP_PX = 12
const EDGE_PX = 8
/** Where there is no room for all of it: half bears a trembling box still, nothing at all is better than no place. */
const SHARES_OF_GAP = [1, 0.5, 0]
/** A card moves only where it comes this much nearer, to a place with this much more room around. */
const HYSTERESIS_PX = 48
const SLACK_PX = 12
/** A smaller card is taken when it stands this much nearer to the product, for each step in size. */
const SMALLER_COSTS_PX = 70
/** Sideways is where the eye looks for more; above and below are hands and faces. */
const VERTICAL_WEIGHT = 1.5
const CENTRE_WEIGHT = 0.15
/** So many square pixels of the product covered count as much as one pixel of the way from home. */
const COVERED_PX = 30

/**
 * The best place on the picture, else on the letterbox bars, else at the edge.
 *
 * @returns null where a card of every size would cover a face or a reserved area.
 */
export function place(input: PlacementInput): Placement | null {
  if (input.previous && isFree(input.previous, input)) return betterThan(input.previous, input)
  for (const bounds of [input.picture, input.stage]) {
    for (const share of SHARES_OF_GAP) {
      const found = freePlace(input, bounds, GAP_PX * share, EDGE_PX * share)
      if (found) return found
    }
  }
  return dock(input)
}

/** The side of the card that faces the product, and where on that side the product's middle is, as a share. */
export interface Tether {
  readonly side: 'left' | 'right' | 'top' | 'bottom'
  readonly at: number
}

/** Further away than this, a pointer would point at something between. */
const LONGEST_TETHER_PX = 3 * GAP_PX

export function tether(card: Rect, product: Rect): Tether | null {
  const { dx, dy } = separation(card, product)
  // Diagonal, touching, or far away.
  if (dx > 0 === dy > 0 || dx + dy > LONGEST_TETHER_PX) return null
  const vertical = dx > 0
  const [start, end, from, length] = vertical
    ? [Math.max(card.y, product.y), Math.min(bottom(card), bottom(product)), card.y, card.height]
    : [Math.max(card.x, product.x), Math.min(right(card), right(product)), card.x, card.width]
  const at = ((start + end) / 2 - from) / length
  if (vertical) return { side: product.x > card.x ? 'right' : 'left', at }
  return { side: product.y > card.y ? 'bottom' : 'top', at }
}

function obstaclesOf(input: PlacementInput): readonly Rect[] {
  return input.product ? [input.product, ...input.keepClear] : input.keepClear
}

function isFree(card: Placement, input: PlacementInput): boolean {
  const stillOffered = input.sizes.some((size) => size.variant === card.variant && sameSize(size, card))
  return stillOffered && isInside(card, input.stage) && coversNone(card, obstaclesOf(input))
}

/** The card stays, unless another place is better by so much that it will not soon go back. */
function betterThan(previous: Placement, input: PlacementInput): Placement {
  const better = freePlace(input, input.picture, GAP_PX + SLACK_PX, EDGE_PX)
  const onPicture = isInside(previous, input.picture)
  if (better && (!onPicture || cost(better, input) + HYSTERESIS_PX < cost(previous, input))) return better
  return previous.kind === 'free' ? previous : { ...previous, kind: 'free' }
}

function freePlace(input: PlacementInput, bounds: Rect, gap: number, edge: number): Placement | null {
  return cheapest(candidates(input, bounds, gap, edge, obstaclesOf(input)), (card) => cost(card, input))
}

/** The product fills the picture: the card stands at the edge, over as little of it as can be, and over no face. */
function dock(input: PlacementInput): Placement | null {
  const covered = (card: Rect) => (input.product ? overlapArea(card, input.product) / COVERED_PX : 0)
  const fromHome = { ...input, product: null }
  const dockWith = (gap: number, edge: number) => {
    const inner = grown(input.picture, -edge)
    const atEdge = [...candidates(fromHome, input.picture, gap, edge, input.keepClear)].filter((card) =>
      touchesEdge(card, inner),
    )
    return cheapest(atEdge, (card) => cost(card, fromHome) + covered(card))
  }
  const docked = dockWith(GAP_PX, EDGE_PX) ?? dockWith(0, 0)
  return docked ? keepDocked(input, { ...docked, kind: 'docked' }, covered) : null
}

function keepDocked(input: PlacementInput, docked: Placement, covered: (card: Rect) => number): Placement {
  const before = input.previous
  if (before?.kind !== 'docked' || !coversNone(before, input.keepClear) || !isInside(before, input.picture))
    return docked
  if (!input.sizes.some((size) => size.variant === before.variant && sameSize(size, before))) return docked
  return covered(before) <= covered(docked) + HYSTERESIS_PX ? before : docked
}

/** Every position worth trying, of every size, that is inside the bounds and covers no obstacle. */
function* candidates(
  input: PlacementInput,
  bounds: Rect,
  gap: number,
  edge: number,
  obstacles: readonly Rect[],
): Generator<Placement> {
  const inner = grown(bounds, -edge)
  const clear = gap > 0 ? obstacles.map((obstacle) => grown(obstacle, gap)) : obstacles
  for (const size of input.sizes) {
    if (size.width > inner.width || size.height > inner.height) continue
    const xs = positions(
      inner.x,
      right(inner) - size.width,
      homePosition(input, 'x', size),
      clear.map((r) => [r.x - size.width, right(r)]),
      input.previous?.x,
    )
    const ys = positions(
      inner.y,
      bottom(inner) - size.height,
      homePosition(input, 'y', size),
      clear.map((r) => [r.y - size.height, bottom(r)]),
      input.previous?.y,
    )
    for (const x of xs) {
      for (const y of ys) {
        const card: Placement = { x, y, width: size.width, height: size.height, variant: size.variant, kind: 'free' }
        if (coversNone(card, clear)) yield card
      }
    }
  }
}

/** Positions along one axis, from least to most: the ends, every obstacle's two sides, home and the present one. */
function positions(
  least: number,
  most: number,
  home: number,
  sides: readonly (readonly [number, number])[],
  present: number | undefined,
): number[] {
  const wanted = [least, most, Math.min(Math.max(home, least), most), ...sides.flat(), present ?? least]
  return [...new Set(wanted.filter((position) => position >= least && position <= most))]
}

/** Where the card's top left corner would be, were there nothing in the way. */
function homePosition(input: PlacementInput, axis: 'x' | 'y', size: Size): number {
  const length = axis === 'x' ? 'width' : 'height'
  if (input.product) return input.product[axis] + (input.product[length] - size[length]) / 2
  return input.picture[axis] + (input.picture[length] - size[length]) * input.home[axis]
}

/** In pixels; it changes by no more than a few times the way that the product moves. */
function cost(card: Placement, input: PlacementInput): number {
  const step = input.sizes.findIndex((size) => size.variant === card.variant)
  const smaller = step * SMALLER_COSTS_PX
  const offX = Math.abs(card.x - homePosition(input, 'x', card))
  const offY = Math.abs(card.y - homePosition(input, 'y', card))
  if (!input.product) return smaller + offX + offY
  const { dx, dy } = separation(card, input.product)
  return smaller + dx + VERTICAL_WEIGHT * dy + CENTRE_WEIGHT * (offX + offY)
}

function cheapest(cards: Iterable<Placement>, price: (card: Placement) => number): Placement | null {
  let best: Placement | null = null
  let lowest = Number.POSITIVE_INFINITY
  for (const card of cards) {
    const its = price(card)
    if (its < lowest) [best, lowest] = [card, its]
  }
  return best
}

/** Positions are sums and differences of the obstacles' own sides: rounding alone must not make an overlap. */
const ROUNDING_PX = 1e-6

function coversNone(card: Rect, obstacles: readonly Rect[]): boolean {
  const core = grown(card, -ROUNDING_PX)
  return obstacles.every((obstacle) => overlapArea(core, obstacle) === 0)
}

function isInside(card: Rect, bounds: Rect): boolean {
  return (
    card.x >= bounds.x - ROUNDING_PX &&
    card.y >= bounds.y - ROUNDING_PX &&
    right(card) <= right(bounds) + ROUNDING_PX &&
    bottom(card) <= bottom(bounds) + ROUNDING_PX
  )
}

function touchesEdge(card: Rect, bounds: Rect): boolean {
  const inside = grown(bounds, -ROUNDING_PX)
  return card.x <= inside.x || card.y <= inside.y || right(card) >= right(inside) || bottom(card) >= bottom(inside)
}

function sameSize(a: Size, b: Size): boolean {
  return a.width === b.width && a.height === b.height
}
