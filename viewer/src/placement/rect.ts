/** Rectangles with sides parallel to the axes, in CSS pixels unless said otherwise. */

export interface Size {
  readonly width: number
  readonly height: number
}

export interface Rect extends Size {
  readonly x: number
  readonly y: number
}

export function right(rect: Rect): number {
  return rect.x + rect.width
}

export function bottom(rect: Rect): number {
  return rect.y + rect.height
}

/** Area that both cover, square pixels. Rectangles that only touch cover nothing together. */
export function overlapArea(a: Rect, b: Rect): number {
  const width = Math.min(right(a), right(b)) - Math.max(a.x, b.x)
  const height = Math.min(bottom(a), bottom(b)) - Math.max(a.y, b.y)
  return width > 0 && height > 0 ? width * height : 0
}

/** The part of a that lies in b; null where there is none. */
export function intersection(a: Rect, b: Rect): Rect | null {
  const x = Math.max(a.x, b.x)
  const y = Math.max(a.y, b.y)
  const width = Math.min(right(a), right(b)) - x
  const height = Math.min(bottom(a), bottom(b)) - y
  return width > 0 && height > 0 ? { x, y, width, height } : null
}

/** Grown by a margin on each side; a negative one shrinks it, to nothing at the least. */
export function grown(rect: Rect, margin: number): Rect {
  const width = Math.max(0, rect.width + 2 * margin)
  const height = Math.max(0, rect.height + 2 * margin)
  return { x: rect.x + (rect.width - width) / 2, y: rect.y + (rect.height - height) / 2, width, height }
}

/** Distance of the intervals along x and along y; 0 where they meet. */
export function separation(a: Rect, b: Rect): { dx: number; dy: number } {
  return {
    dx: Math.max(0, a.x - right(b), b.x - right(a)),
    dy: Math.max(0, a.y - bottom(b), b.y - bottom(a)),
  }
}
