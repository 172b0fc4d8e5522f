/** Finds places for card and tray button on the present geometry, and remembers them so that they do not jump. */

import type { CardEvent } from '../model/card-event'
import { onScreen } from '../placement/picture'
import { type CardSize, GAP_PX, type Placement, place, type Tether, tether } from '../placement/placement'
import { grown, type Rect, type Size } from '../placement/rect'
import type { StageGeometry } from './stage'
import { TRAY_BUTTON_PX } from './tray-view'

/** Faces move between the looks of the recogniser: that much of their size is left free around them. */
const FACE_MARGIN = 0.15
const BOTTOM_LEFT = { x: 0, y: 1 }
const BOTTOM_RIGHT = { x: 1, y: 1 }
const BUTTON: CardSize = { variant: 'button', width: TRAY_BUTTON_PX, height: TRAY_BUTTON_PX }

export interface Places {
  readonly button: Rect
  /** Null where the card of every size would cover a face or a reserved area. */
  readonly card: Placement | null
  readonly tether: Tether | null
}

export class Placer {
  private button: Placement | null = null
  private card: Placement | null = null

  /** Another card: it may stand anywhere. */
  forgetCard(): void {
    this.card = null
  }

  /**
   * @param front the card to place, with its sizes; null for none.
   * @param others what else is in the way of the card, such as the open tray.
   */
  find(geometry: StageGeometry, front: CardEvent | null, sizes: readonly CardSize[], others: readonly Rect[]): Places {
    const { stage, visible } = geometry
    const frame = front && frameSize(front)
    const product = front?.box && frame ? onScreen(front.box, frame, geometry.picture) : null
    const faces = frame ? (front?.avoid ?? []).map((face) => withMargin(onScreen(face, frame, geometry.picture))) : []
    const base = { stage, picture: visible, product, keepClear: [...faces, ...geometry.reserved] }
    this.button = place({
      ...base,
      product: null,
      keepClear: product ? [...base.keepClear, product] : base.keepClear,
      sizes: [BUTTON],
      home: BOTTOM_RIGHT,
      previous: this.button,
    })
    const button = this.button ?? corner(visible)
    const keepClear = [...base.keepClear, grown(button, GAP_PX / 2), ...others]
    this.card = front ? place({ ...base, keepClear, sizes, home: BOTTOM_LEFT, previous: this.card }) : null
    return {
      button,
      card: this.card,
      tether: this.card?.kind === 'free' && product ? tether(this.card, product) : null,
    }
  }
}

/** Null before the first picture was judged. */
function frameSize(event: CardEvent): Size | null {
  const { frame_width: width, frame_height: height } = event
  return width > 0 && height > 0 ? { width, height } : null
}

function withMargin(face: Rect): Rect {
  return grown(face, Math.min(face.width, face.height) * FACE_MARGIN)
}

/** Nowhere is free: the tray has to be within reach all the same. */
function corner(visible: Rect): Rect {
  const { width, height } = BUTTON
  return { x: visible.x + visible.width - width - 8, y: visible.y + visible.height - height - 8, width, height }
}
