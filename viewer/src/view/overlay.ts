/** Draws the card in front where the element stands, as part of the picture: nobody can press anything there. */

import { asOfNow, type CardEvent } from '../model/card-event'
import type { Show } from '../model/show'
import { CardView } from './card-view'
import type { PresenterSettings } from './presenter'
import { shownPriceText } from './price'

const nothing = () => {}
const NO_ACTIONS = { buy: nothing, close: nothing, wrong: nothing, mute: nothing, menu: nothing }

export class Overlay {
  private drawn: { readonly view: CardView; readonly cardId: string } | null = null

  /** @param codeUrl address of a card's QR code, which then stands in the place of the product's picture; null: none. */
  constructor(
    private readonly layer: HTMLElement,
    private readonly show: Show,
    private readonly settings: PresenterSettings,
    private readonly codeUrl: ((product: CardEvent) => string) | null,
  ) {
    this.draw()
  }

  dispose(): void {
    this.layer.replaceChildren()
    this.drawn = null
  }

  draw(): void {
    const { front } = this.show
    if (front?.card_id !== this.drawn?.cardId) {
      this.dispose()
      if (front) this.putUp(front)
    }
    if (!front || !this.drawn) return
    const { view } = this.drawn
    view.update(front)
    // A price is never cut: a long one is smaller.
    const { length } = shownPriceText(asOfNow(front), this.settings.texts)
    view.root.style.setProperty('--price-chars', String(length))
    view.root.style.setProperty('--name-lines', front.selling ? '1' : '2')
  }

  /** The page says where the element stands. */
  layOut(): void {}

  private putUp(product: CardEvent): void {
    const { texts, disclosure } = this.settings
    const shown = this.codeUrl ? { ...product, image_url: this.codeUrl(product) } : product
    const view = new CardView(shown, { ...texts, reason: texts.onNow }, disclosure, NO_ACTIONS)
    view.root.dataset.variant = 'overlay'
    view.root.hidden = false
    this.layer.append(view.root)
    this.drawn = { view, cardId: product.card_id }
  }
}
