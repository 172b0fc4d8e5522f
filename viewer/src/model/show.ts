/** Which product is in front, which are in the tray: the rules, without a screen. */

import type { CardEvent } from './card-event'
import type { ViewerMemory } from './viewer-memory'

/** More products than anyone scrolls through. */
const LARGEST_TRAY = 30
const LARGEST_DISMISSED = 200
/** Withdrawn for these reasons, a product may not be offered any longer, not even in the tray. */
const NO_LONGER_OFFERED = new Set(['off_sale', 'host', 'muted', 'room_closed'])

export class Show {
  /** Cards that were announced and not withdrawn, by card_id, in the order of their announcement. */
  private readonly announced = new Map<string, CardEvent>()
  /** Products of this show by sku, the latest last. */
  private readonly products = new Map<string, CardEvent>()
  /** Cards that had their time in front. */
  private readonly dismissed = new Set<string>()
  private frontCard: CardEvent | null = null
  /** The viewer's pointer, focus or finger is on the card: it stays until they leave. */
  private engaged = false

  constructor(private memory: ViewerMemory) {}

  /** The one card that is shown. */
  get front(): CardEvent | null {
    return this.frontCard
  }

  /** Every other product of this show, the latest first. */
  get tray(): CardEvent[] {
    const others = [...this.products.values()].filter((product) => product.sku !== this.frontCard?.sku)
    return others.filter((product) => !this.memory.isWrong(product.sku)).reverse()
  }

  get muted(): boolean {
    return this.memory.muted
  }

  /** Cards announced now, shown or not. */
  get announcedIds(): string[] {
    return [...this.announced.keys()]
  }

  apply(event: CardEvent): void {
    if (event.event === 'withdraw') this.withdraw(event.card_id, event.reason)
    else this.announce(event)
  }

  /** Takes a card away. Under the viewer's pointer it stays until they leave, unless it may not be offered any longer. */
  withdraw(cardId: string, reason: string | null): void {
    const known = this.announced.get(cardId)
    this.announced.delete(cardId)
    const forbidden = NO_LONGER_OFFERED.has(reason ?? '')
    if (forbidden && known) this.products.delete(known.sku)
    if (this.frontCard?.card_id === cardId && (forbidden || !this.engaged)) this.leave()
  }

  /** The viewer's pointer, focus or finger came to the card or left it. */
  engage(engaged: boolean): void {
    this.engaged = engaged
    if (!engaged && this.frontCard && !this.announced.has(this.frontCard.card_id)) this.frontCard = null
    this.choose()
  }

  /** The card in front had its time. */
  dismiss(): void {
    if (!this.frontCard) return
    remember(this.dismissed, this.frontCard.card_id)
    this.leave()
  }

  /** The viewer closed the card: its product does not come up again in this room. */
  close(): void {
    if (!this.frontCard) return
    this.memory.close(this.frontCard.sku)
    this.leave()
  }

  /** The viewer says that this product is not what the picture shows: it is not offered again. */
  reportWrong(sku: string): void {
    this.memory.reportWrong(sku)
    if (this.frontCard?.sku === sku) this.leave()
  }

  /** Muted, products only gather in the tray. */
  mute(muted: boolean): void {
    this.memory.muted = muted
    if (muted && this.frontCard) this.dismiss()
    this.choose()
  }

  /** The stream is at another place: cards shown until now may not have come yet. Products of the show are kept. */
  rewind(): void {
    this.announced.clear()
    this.leave()
  }

  /** Another room. */
  restart(memory: ViewerMemory): void {
    this.memory = memory
    this.products.clear()
    this.dismissed.clear()
    this.rewind()
  }

  private announce(event: CardEvent): void {
    const before = this.announced.get(event.card_id)
    const merged = before
      ? { ...event, avoid: event.avoid ?? before.avoid, image_url: event.image_url ?? before.image_url }
      : event
    this.announced.set(event.card_id, merged)
    this.keepInTray(merged, before === undefined)
    if (this.frontCard?.card_id === event.card_id) this.frontCard = merged
    this.choose()
  }

  private keepInTray(event: CardEvent, latest: boolean): void {
    if (latest) this.products.delete(event.sku)
    this.products.set(event.sku, event)
    if (this.products.size > LARGEST_TRAY) this.products.delete(this.products.keys().next().value as string)
  }

  private leave(): void {
    this.frontCard = null
    this.engaged = false
    this.choose()
  }

  /** The latest card comes to the front; the one that it takes the place of is in the tray from then on. */
  private choose(): void {
    if (this.engaged && this.frontCard) return
    const latest = [...this.announced.values()].reverse().find((event) => this.mayBeShown(event)) ?? null
    if (!latest || latest.card_id === this.frontCard?.card_id) return
    if (this.frontCard) remember(this.dismissed, this.frontCard.card_id)
    this.frontCard = latest
  }

  private mayBeShown(event: CardEvent): boolean {
    return !this.memory.muted && !this.memory.isClosed(event.sku) && !this.dismissed.has(event.card_id)
  }
}

function remember(set: Set<string>, value: string): void {
  set.add(value)
  if (set.size > LARGEST_DISMISSED) set.delete(set.values().next().value as string)
}
