/** Brings what the show says onto the screen, and the viewer's hand back to the show. */

import { asOfNow, type CardEvent } from '../model/card-event'
import { DismissTimer, type Hold } from '../model/dismiss-timer'
import type { Show } from '../model/show'
import type { CardSize } from '../placement/placement'
import type { FeedbackKind } from '../transport/protocol'
import { CardView } from './card-view'
import { h } from './dom'
import { Placer } from './placer'
import { shownPriceText } from './price'
import type { Stage } from './stage'
import type { Texts } from './texts'
import { TrayView } from './tray-view'

export interface PresenterSettings {
  readonly texts: Texts
  /** Empty for none. */
  readonly disclosure: string
  readonly dismissAfterS: number
  /** CSS selector of what the page reserves; empty for nothing. */
  readonly reserved: string
}

export type Report = (kind: FeedbackKind, product: CardEvent, dwellS?: number) => void

/** The hub takes no more: a card that somebody held for longer was in front of nobody. */
const LONGEST_DWELL_S = 86_400

/** A browser's timer of more fires at once. */
const LONGEST_TIMER_MS = 3_600_000

/** These are the viewer's own doing: the card does not leave under their hand. */
const ENGAGING: readonly Hold[] = ['hover', 'focus', 'touch', 'menu']

/** The card on the screen. */
interface Drawn {
  readonly view: CardView
  sizes: readonly CardSize[]
  product: CardEvent
  /**
   * When it was first seen, by `performance.now()`, moved on by the time that the page was hidden since; null while
   * there was no room for it yet.
   */
  seenAtMs: number | null
}

export class Presenter {
  private drawn: Drawn | null = null
  private saleTimer: ReturnType<typeof setTimeout> | undefined
  private readonly tray: TrayView
  private readonly placer = new Placer()
  private readonly announcer = h('div', { class: 'announcer', role: 'status', 'aria-live': 'polite' })
  private readonly holds = new Set<Hold>()
  /** Since when the page is hidden; null while it is in view. */
  private hiddenAtMs = document.hidden ? performance.now() : null
  private readonly listening = new AbortController()
  private readonly timer = new DismissTimer(() => this.act(() => this.show.dismiss()))

  constructor(
    private readonly stage: Stage,
    private readonly show: Show,
    private readonly settings: PresenterSettings,
    private readonly report: Report,
  ) {
    this.tray = new TrayView(settings.texts, settings.disclosure, {
      buy: (product) => report('click', product),
      wrong: (product) => this.reportWrong(product),
      mute: (muted) => this.act(() => this.show.mute(muted)),
      toggled: (open) => {
        this.hold('tray', open)
        this.draw()
      },
    })
    stage.layer.append(this.tray.panel, this.tray.button, this.announcer)
    const { signal } = this.listening
    document.addEventListener('visibilitychange', () => this.onVisibility(), { signal })
    document.addEventListener('pointerdown', (event) => this.onPointerDown(event), { signal, passive: true })
    document.addEventListener('keydown', (event) => this.onKey(event), { signal })
    this.hold('page-hidden', document.hidden)
    this.draw()
  }

  dispose(): void {
    this.listening.abort()
    this.timer.stop()
    clearTimeout(this.saleTimer)
    this.takeDown(true)
    this.stage.layer.replaceChildren()
  }

  /** Draws what the show says now. */
  draw(): void {
    const { front } = this.show
    if (front?.card_id !== this.drawn?.product.card_id) {
      this.takeDown(matchMedia('(prefers-reduced-motion: reduce)').matches)
      if (front) this.putUp(front)
    } else if (front && this.drawn) {
      if (this.drawn.view.update(front)) this.drawn.sizes = this.drawn.view.measure()
      this.drawn.product = front
    }
    this.layOut()
    this.awaitSaleEnd()
  }

  /** The next sale to end is drawn anew then. */
  private awaitSaleEnd(): void {
    clearTimeout(this.saleTimer)
    const products = [...this.show.tray, ...(this.drawn ? [this.drawn.product] : [])]
    const ends = products.map(
      ({ selling }) => (selling?.sale_ends_at_s ?? Number.POSITIVE_INFINITY) * 1000 - Date.now(),
    )
    const nextMs = Math.min(...ends.filter((ms) => ms > 0))
    if (Number.isFinite(nextMs)) this.saleTimer = setTimeout(() => this.draw(), Math.min(nextMs, LONGEST_TIMER_MS))
  }

  /** Finds everything its place anew: the video, the product or the page moved. */
  layOut(): void {
    const geometry = this.stage.layOut(this.settings.reserved)
    const { drawn } = this
    if (geometry) {
      const panel = this.tray.open ? [relative(this.tray.panel, this.stage.layer)] : []
      const places = this.placer.find(geometry, drawn?.product ?? null, drawn?.sizes ?? [], panel)
      this.tray.moveTo(places.button, geometry.visible)
      drawn?.view.moveTo(places.card, places.tether)
      if (drawn && places.card && drawn.seenAtMs === null && !document.hidden) this.onSeen(drawn)
    }
    // A card that has no room is in the tray meanwhile.
    const hidden = drawn?.view.root.hidden ? [drawn.product] : []
    this.tray.update([...hidden, ...this.show.tray], this.show.muted)
  }

  private putUp(product: CardEvent): void {
    const view = new CardView(product, this.settings.texts, this.settings.disclosure, {
      buy: () => this.report('click', product),
      close: () => this.close(),
      wrong: () => this.reportWrong(product),
      mute: () => this.act(() => this.show.mute(true)),
      menu: (open) => this.hold('menu', open),
    })
    this.listen(view.root)
    this.stage.layer.prepend(view.root)
    this.drawn = { view, product, sizes: view.measure(), seenAtMs: null }
    this.placer.forgetCard()
  }

  private onSeen(drawn: Drawn): void {
    const { texts, dismissAfterS } = this.settings
    drawn.seenAtMs = performance.now()
    this.announcer.textContent = texts.announcement(drawn.product.name, shownPriceText(asOfNow(drawn.product), texts))
    this.timer.start(dismissAfterS * 1000)
    this.report('impression', drawn.product)
  }

  private takeDown(still: boolean): void {
    if (!this.drawn) return
    const { view, product, seenAtMs } = this.drawn
    this.drawn = null
    this.timer.stop()
    for (const reason of ENGAGING) this.setHold(reason, false)
    if (seenAtMs !== null) {
      const dwellS = ((this.hiddenAtMs ?? performance.now()) - seenAtMs) / 1000
      this.report('dwell', product, Math.min(LONGEST_DWELL_S, Math.max(0, dwellS)))
    }
    view.leave(still)
  }

  private listen(card: HTMLElement): void {
    card.addEventListener('pointerenter', ({ pointerType }) => pointerType !== 'touch' && this.hold('hover', true))
    card.addEventListener('pointerleave', () => this.hold('hover', false))
    card.addEventListener('focusin', () => this.hold('focus', true))
    card.addEventListener('focusout', ({ relatedTarget }) => {
      if (!card.contains(relatedTarget as Node | null)) this.hold('focus', false)
    })
  }

  private onVisibility(): void {
    this.hold('page-hidden', document.hidden)
    const nowMs = performance.now()
    if (document.hidden) this.hiddenAtMs ??= nowMs
    else if (this.hiddenAtMs !== null) {
      if (this.drawn?.seenAtMs != null) this.drawn.seenAtMs += nowMs - this.hiddenAtMs
      this.hiddenAtMs = null
    }
    this.layOut()
  }

  /** A finger on the card holds it until one is put elsewhere. */
  private onPointerDown(event: PointerEvent): void {
    const card = this.drawn?.view.root
    const onCard = card !== undefined && event.composedPath().includes(card)
    if (onCard && event.pointerType === 'touch') this.hold('touch', true)
    if (!onCard) this.hold('touch', false)
  }

  /** Esc closes one thing at a time: the tray, the card's menu, the card. Not while the viewer writes elsewhere. */
  private onKey(event: KeyboardEvent): void {
    if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing) return
    const [target] = event.composedPath()
    const writes = target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]')
    if (writes) return
    if (this.tray.open) this.tray.setOpen(false)
    else if (this.drawn?.view.menuOpen) this.drawn.view.setMenu(false)
    else if (this.drawn && !this.drawn.view.root.hidden) this.close()
  }

  private close(): void {
    const product = this.drawn?.product
    if (!product) return
    this.report('close', product)
    this.act(() => this.show.close())
  }

  private reportWrong(product: CardEvent): void {
    this.report('wrong', product)
    this.act(() => this.show.reportWrong(product.sku))
  }

  /** Changes the show and draws it; the focus does not get lost with a card that goes. */
  private act(change: () => void): void {
    const hadFocus = this.drawn?.view.root.contains(shadowFocus(this.stage.layer)) ?? false
    change()
    this.draw()
    if (hadFocus && !this.tray.button.hidden && !this.tray.open) this.tray.button.focus({ preventScroll: true })
  }

  /** The viewer, or the page, holds the card, or lets it go. */
  private hold(reason: Hold, on: boolean): void {
    this.setHold(reason, on)
    const engaged = ENGAGING.some((held) => this.holds.has(held))
    const before = this.show.front
    this.show.engage(engaged)
    if (this.show.front !== before) this.draw()
  }

  private setHold(reason: Hold, on: boolean): void {
    if (on) this.holds.add(reason)
    else this.holds.delete(reason)
    this.timer.hold(reason, on)
  }
}

function shadowFocus(layer: HTMLElement): Element | null {
  return (layer.getRootNode() as ShadowRoot).activeElement
}

function relative(element: HTMLElement, to: HTMLElement): { x: number; y: number; width: number; height: number } {
  const box = element.getBoundingClientRect()
  const origin = to.getBoundingClientRect()
  return { x: box.x - origin.x, y: box.y - origin.y, width: box.width, height: box.height }
}
