/** Draws the button that counts the show's products, and the list behind it. */

import type { CardEvent } from '../model/card-event'
import type { Rect } from '../placement/rect'
import { h, icon, iconButton } from './dom'
import { buyLink, costText, productCost, productPicture } from './product-parts'
import type { Texts } from './texts'

/** Side of the button: a target that every finger hits (WCAG 2.2, 2.5.5). */
export const TRAY_BUTTON_PX = 48
const LARGEST_COUNT = 99

export interface TrayActions {
  buy(product: CardEvent): void
  wrong(product: CardEvent): void
  mute(muted: boolean): void
  toggled(open: boolean): void
}

export class TrayView {
  readonly button: HTMLButtonElement
  readonly panel: HTMLElement
  private readonly count = h('span', { class: 'count', 'aria-hidden': 'true' })
  private readonly list = h('ul', { role: 'list' })
  private readonly empty: HTMLElement
  private readonly muteButton: HTMLButtonElement
  private readonly closeButton: HTMLButtonElement
  private shown = ''

  constructor(
    private readonly texts: Texts,
    disclosure: string,
    private readonly actions: TrayActions,
  ) {
    this.button = h(
      'button',
      { type: 'button', class: 'tray-button', part: 'tray-button', 'aria-haspopup': 'dialog', hidden: true },
      icon('bag'),
      this.count,
    )
    this.button.addEventListener('click', () => this.setOpen(true))
    this.muteButton = h('button', { type: 'button', class: 'mute' })
    this.muteButton.addEventListener('click', () => actions.mute(this.muteButton.dataset.muted !== 'true'))
    this.empty = h('p', { class: 'empty' }, texts.noProducts)
    this.closeButton = iconButton('close', texts.close, 'close', () => this.setOpen(false))
    this.panel = h(
      'section',
      { class: 'tray', part: 'tray', role: 'dialog', 'aria-label': texts.products, tabindex: '-1', hidden: true },
      h(
        'header',
        {},
        h('h2', {}, texts.products, disclosure ? h('span', { class: 'disclosure' }, disclosure) : null),
        this.closeButton,
      ),
      this.empty,
      this.list,
      h('footer', {}, this.muteButton),
    )
  }

  get open(): boolean {
    return !this.panel.hidden
  }

  setOpen(open: boolean): void {
    if (open === this.open) return
    const hadFocus = this.panel.contains(focusedIn(this.panel))
    this.panel.hidden = !open
    this.actions.toggled(open)
    if (open) this.closeButton.focus({ preventScroll: true })
    else if (hadFocus) this.button.focus({ preventScroll: true })
  }

  /** Draws anew only what changed: a list that is being read keeps its place and its focus. */
  update(products: readonly CardEvent[], muted: boolean): void {
    // The list opens where the button is.
    this.button.hidden = this.open || (products.length === 0 && !muted)
    this.button.classList.toggle('muted', muted)
    this.button.setAttribute('aria-label', this.texts.openProducts(products.length))
    this.count.textContent = products.length > LARGEST_COUNT ? `${LARGEST_COUNT}+` : String(products.length)
    this.count.hidden = products.length === 0
    this.empty.hidden = products.length > 0
    this.drawMute(muted)
    const shown = JSON.stringify(
      products.map((product) => [product.card_id, product.sku, costText(product, this.texts), product.url]),
    )
    if (shown !== this.shown) {
      this.shown = shown
      this.drawList(products)
    }
  }

  /** The button there, the list in the picture's corner beside it. */
  moveTo(button: Rect, picture: Rect): void {
    this.button.style.transform = `translate(${Math.round(button.x)}px, ${Math.round(button.y)}px)`
    const toTheRight = button.x + button.width / 2 > picture.x + picture.width / 2
    const { style } = this.panel
    style.setProperty('--picture-width', `${picture.width}px`)
    style.setProperty('--picture-height', `${picture.height}px`)
    style.left = `${Math.round(toTheRight ? picture.x + picture.width : picture.x)}px`
    style.top = `${Math.round(picture.y + picture.height)}px`
    this.panel.classList.toggle('to-the-right', toTheRight)
  }

  private drawMute(muted: boolean): void {
    if (this.muteButton.dataset.muted === String(muted)) return
    this.muteButton.dataset.muted = String(muted)
    this.muteButton.replaceChildren(icon(muted ? 'bell' : 'mute'), muted ? this.texts.unmute : this.texts.mute)
  }

  private drawList(products: readonly CardEvent[]): void {
    const focused = focusedIn(this.list)?.closest<HTMLElement>('li')?.dataset.sku
    this.list.replaceChildren(...products.map((product) => this.item(product)))
    if (focused === undefined) return
    const again = [...this.list.children].find((item) => (item as HTMLElement).dataset.sku === focused)
    const target = again?.querySelector<HTMLElement>('.buy') ?? this.closeButton
    target.focus({ preventScroll: true })
  }

  private item(product: CardEvent): HTMLElement {
    return h(
      'li',
      { 'data-sku': product.sku },
      productPicture(product),
      h('div', { class: 'what' }, h('div', { class: 'name' }, product.name), productCost(product, this.texts)),
      iconButton('wrong', this.texts.wrongNamed(product.name), 'report', () => this.actions.wrong(product)),
      buyLink(product, this.texts, () => this.actions.buy(product)),
    )
  }
}

/** What has the focus inside the same shadow tree. */
function focusedIn(element: HTMLElement): HTMLElement | null {
  const active = (element.getRootNode() as Document | ShadowRoot).activeElement
  return active instanceof HTMLElement && element.contains(active) ? active : null
}
