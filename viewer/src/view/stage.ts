/** Keeps a layer over the video, and knows where picture and reserved areas are in it. */

import { type ObjectFit, pictureRect, visiblePicture } from '../placement/picture'
import { intersection, type Rect } from '../placement/rect'
import { h } from './dom'

/** Rectangles in CSS pixels of the layer, which has the size of the video's content box. */
export interface StageGeometry {
  readonly stage: Rect
  /** The whole picture of the stream; with object-fit: cover it reaches beyond the stage. */
  readonly picture: Rect
  /** What of it can be seen. */
  readonly visible: Rect
  readonly reserved: readonly Rect[]
}

export class Stage {
  readonly layer = h('div', { class: 'stage' })
  private video: HTMLVideoElement | null = null
  private readonly resizes: ResizeObserver
  private readonly listening = new AbortController()

  /**
   * @param host the element that the layer's coordinates begin at.
   * @param onChange the video has another size or place.
   */
  constructor(
    private readonly host: HTMLElement,
    private readonly onChange: () => void,
  ) {
    this.resizes = new ResizeObserver(onChange)
    const { signal } = this.listening
    addEventListener('resize', onChange, { signal })
    // Of any scroller between the video and the page.
    addEventListener('scroll', onChange, { signal, capture: true, passive: true })
    document.addEventListener('fullscreenchange', onChange, { signal })
  }

  attach(video: HTMLVideoElement | null): void {
    this.resizes.disconnect()
    this.video = video
    if (video) this.resizes.observe(video)
    this.onChange()
  }

  dispose(): void {
    this.resizes.disconnect()
    this.listening.abort()
  }

  /** Measures, and puts the layer over the video. Null where there is no video to be seen. */
  layOut(reservedSelector: string): StageGeometry | null {
    const content = this.video && contentBox(this.video)
    this.layer.hidden = !content || !isInWindow(content) || this.isCovered
    if (!this.video || !content || this.layer.hidden) return null
    const origin = this.host.getBoundingClientRect()
    const { style } = this.layer
    style.left = `${content.x - origin.x}px`
    style.top = `${content.y - origin.y}px`
    style.width = `${content.width}px`
    style.height = `${content.height}px`
    const stage = { x: 0, y: 0, width: content.width, height: content.height }
    const computed = getComputedStyle(this.video)
    const natural = { width: this.video.videoWidth, height: this.video.videoHeight }
    const picture = pictureRect(stage, natural, computed.objectFit as ObjectFit, computed.objectPosition)
    return {
      stage,
      picture,
      visible: visiblePicture(stage, picture),
      reserved: this.reserved(reservedSelector, content),
    }
  }

  /**
   * A video alone in full screen covers the page, and what is drawn over it in the top layer cannot be clicked
   * (browsers make the rest of the page inert): nothing is shown then. A container of both in full screen is fine.
   */
  private get isCovered(): boolean {
    return this.video !== null && document.fullscreenElement === this.video
  }

  private reserved(selector: string, content: Rect): Rect[] {
    if (!selector) return []
    return [...document.querySelectorAll(selector)]
      .filter((element) => element.checkVisibility?.({ visibilityProperty: true }) ?? true)
      .map((element) => element.getBoundingClientRect())
      .filter(({ width, height }) => width > 0 && height > 0)
      .map(({ x, y, width, height }) => ({ x: x - content.x, y: y - content.y, width, height }))
  }
}

function isInWindow(box: Rect): boolean {
  return intersection(box, { x: 0, y: 0, width: innerWidth, height: innerHeight }) !== null
}

/** The box that the picture is fitted into: without border and padding, in the window's coordinates. */
function contentBox(video: HTMLVideoElement): Rect {
  const box = video.getBoundingClientRect()
  const style = getComputedStyle(video)
  const px = (value: string) => Number.parseFloat(value) || 0
  const left = px(style.borderLeftWidth) + px(style.paddingLeft)
  const top = px(style.borderTopWidth) + px(style.paddingTop)
  return {
    x: box.x + left,
    y: box.y + top,
    width: Math.max(0, box.width - left - px(style.borderRightWidth) - px(style.paddingRight)),
    height: Math.max(0, box.height - top - px(style.borderBottomWidth) - px(style.paddingBottom)),
  }
}
