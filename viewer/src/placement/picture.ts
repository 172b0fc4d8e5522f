/** Where the stream's picture is inside its `<video>`, by CSS object-fit and object-position. */

import { intersection, type Rect, type Size } from './rect'

export type ObjectFit = 'contain' | 'cover' | 'fill' | 'none' | 'scale-down'

/** A place along one axis: a share of the room that is left over, plus pixels. */
interface Offset {
  readonly share: number
  readonly px: number
}

/**
 * The whole picture in the element's coordinates; with `cover` and `none` it may reach beyond the element.
 *
 * @param element the video's content box.
 * @param natural the picture's size in its own pixels.
 * @param objectPosition computed value of object-position, such as "50% 50%" or "10px 100%".
 * @see https://www.w3.org/TR/css-images-3/#sizing
 */
export function pictureRect(element: Rect, natural: Size, fit: ObjectFit, objectPosition: string): Rect {
  if (natural.width <= 0 || natural.height <= 0) return element
  const size = fittedSize(element, natural, fit)
  const [x, y] = parsePosition(objectPosition)
  return {
    x: element.x + (element.width - size.width) * x.share + x.px,
    y: element.y + (element.height - size.height) * y.share + y.px,
    ...size,
  }
}

/** The part of the picture that is inside the element. */
export function visiblePicture(element: Rect, picture: Rect): Rect {
  return intersection(element, picture) ?? element
}

/**
 * A rectangle of the stream's picture on the screen.
 *
 * @param frame size of the picture that the rectangle's pixels belong to; it may differ from the played one's.
 */
export function onScreen(box: readonly [number, number, number, number], frame: Size, picture: Rect): Rect {
  const scaleX = picture.width / frame.width
  const scaleY = picture.height / frame.height
  return {
    x: picture.x + box[0] * scaleX,
    y: picture.y + box[1] * scaleY,
    width: (box[2] - box[0]) * scaleX,
    height: (box[3] - box[1]) * scaleY,
  }
}

function fittedSize(element: Size, natural: Size, fit: ObjectFit): Size {
  if (fit === 'fill') return { width: element.width, height: element.height }
  const contain = Math.min(element.width / natural.width, element.height / natural.height)
  const cover = Math.max(element.width / natural.width, element.height / natural.height)
  const scale = { contain, cover, none: 1, 'scale-down': Math.min(1, contain) }[fit]
  return { width: natural.width * scale, height: natural.height * scale }
}

/** Computed values are two of percentage, length, or calc() of both. */
function parsePosition(value: string): [Offset, Offset] {
  const parts = value.match(/calc\([^)]*\)|[^\s]+/g) ?? []
  return [parseOffset(parts[0]), parseOffset(parts[1])]
}

function parseOffset(part: string | undefined): Offset {
  if (!part) return { share: 0.5, px: 0 }
  const percent = /(-?[\d.]+)%/.exec(part)
  const px = /([+-]?)\s*(-?[\d.]+)px/.exec(part)
  return {
    share: percent ? Number(percent[1]) / 100 : 0,
    px: px ? Number(px[2]) * (px[1] === '-' ? -1 : 1) : 0,
  }
}
