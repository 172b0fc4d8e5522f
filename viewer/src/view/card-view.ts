/** Draws the card in front. */

import type { CardEvent } from '../model/card-event'
import type { CardSize, Placement, Tether } from '../placement/placement'
import { h, icon, iconButton } from './dom'
import { buyLink, costText, productCost, productPicture } from './product-parts'
import type { Texts } from './texts'

/** From the one liked best to the smallest: see styles.css. */
export const CARD_VARIANTS = ['full', 'compact', 'slim', 'bar'] as const

export interface CardActions {
  buy(): void
  close(): void
  wrong(): void
  mute(): void
  /** The viewer opened the card's menu, or went back. */
  menu(open: boolean): void
}

const LEAVING_MS = 140

export class CardView {
  /** Stands where the placement says; the card inside it comes and goes. */
  readonly root: HTMLElement
  private readonly card: HTMLElement
  private readonly menu: HTMLElement
  private readonly moreButton: HTMLButtonElement
  private readonly notch = h('span', { class: 'notch', 'aria-hidden': 'true' })
  private cost: HTMLElement | null
  private costText: string

  constructor(
    product: CardEvent,
    private readonly texts: Texts,
    disclosure: string,
    private readonly actions: CardActions,
  ) {
    this.moreButton = iconButton('more', texts.more, 'more', () => this.setMenu(true))
    this.moreButton.setAttribute('aria-expanded', 'false')
    this.cost = productCost(product, texts)
    this.costText = costText(product, texts)
    this.menu = this.makeMenu()
    this.card = h(
      'section',
      { class: 'card', part: 'card', 'aria-label': product.name },
      h(
        'div',
        { class: 'meta' },
        h('span', { class: 'reason' }, icon('seen'), h('span', {}, texts.reason)),
        disclosure ? h('span', { class: 'disclosure' }, disclosure) : null,
      ),
      productPicture(product),
      h('div', { class: 'name' }, product.name),
      this.cost,
      buyLink(product, texts, actions.buy),
      h('div', { class: 'tools' }, this.moreButton, iconButton('close', texts.close, 'close', actions.close)),
      this.menu,
    )
    this.root = h('div', { class: 'place', hidden: true }, this.notch, this.card)
  }

  /** Whether the card's menu is open. */
  get menuOpen(): boolean {
    return !this.menu.hidden
  }

  setMenu(open: boolean): void {
    if (open === this.menuOpen) return
    this.menu.hidden = !open
    this.moreButton.setAttribute('aria-expanded', String(open))
    for (const child of this.card.children) {
      if (child !== this.menu) child.toggleAttribute('inert', open)
    }
    const target = open ? this.menu.querySelector('button') : this.moreButton
    target?.focus({ preventScroll: true })
    this.actions.menu(open)
  }

  /** The product's price changed, its sale ended, or it was seen again. True where the card's size may be another. */
  update(product: CardEvent): boolean {
    this.card.querySelector<HTMLAnchorElement>('.buy')?.setAttribute('href', product.url)
    const text = costText(product, this.texts)
    if (text === this.costText) return false
    const cost = productCost(product, this.texts)
    if (this.cost && cost) this.cost.replaceWith(cost)
    else if (cost) this.card.querySelector('.name')?.after(cost)
    else this.cost?.remove()
    this.cost = cost
    this.costText = text
    return true
  }

  /** The size of every variant: laid out, not drawn. */
  measure(): CardSize[] {
    const { variant } = this.root.dataset
    const hidden = this.root.hidden === true
    this.root.hidden = false
    const sizes = CARD_VARIANTS.map((name) => {
      this.root.dataset.variant = name
      return { variant: name, width: this.root.offsetWidth, height: this.root.offsetHeight }
    })
    this.root.hidden = hidden
    this.root.dataset.variant = variant ?? CARD_VARIANTS[0]
    return sizes
  }

  /** Puts the card there; null hides it until there is room. */
  moveTo(placement: Placement | null, tether: Tether | null): void {
    // Coming out of hiding it must not fly in from where it was.
    const appears = this.root.hidden === true
    this.root.hidden = placement === null
    if (!placement) return
    this.root.classList.toggle('still', appears)
    this.root.dataset.variant = placement.variant
    this.root.dataset.placement = placement.kind
    this.root.style.transform = `translate(${Math.round(placement.x)}px, ${Math.round(placement.y)}px)`
    if (tether) this.root.dataset.tether = tether.side
    else delete this.root.dataset.tether
    this.notch.style.setProperty('--at', String(tether?.at ?? 0.5))
  }

  /** Fades and goes; it can no longer be used meanwhile. */
  leave(still: boolean): void {
    this.root.inert = true
    if (still || this.root.hidden || !this.root.animate) {
      this.root.remove()
      return
    }
    const fade = this.root.animate({ opacity: [1, 0] }, { duration: LEAVING_MS, fill: 'forwards' })
    fade.onfinish = fade.oncancel = () => this.root.remove()
  }

  private makeMenu(): HTMLElement {
    const row = (name: 'wrong' | 'mute' | 'back', label: string, run: () => void) => {
      const button = h('button', { type: 'button' }, icon(name), h('span', {}, label))
      button.addEventListener('click', run)
      return button
    }
    return h(
      'div',
      { class: 'menu', role: 'group', 'aria-label': this.texts.more, hidden: true },
      row('wrong', this.texts.wrong, this.actions.wrong),
      row('mute', this.texts.mute, this.actions.mute),
      row('back', this.texts.back, () => this.setMenu(false)),
    )
  }
}
