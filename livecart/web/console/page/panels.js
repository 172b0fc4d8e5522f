// The panels beside the picture: cards, products seen, pins and mutes, texts, counters, events.

import { Latency, Rate, seconds } from './figures.js'
import { drawFigures, drawRows, h, setText } from './rows.js'
import { priceText, t, word } from './texts.js'

/** A product that was seen stays in its list for so long. */
const SEEN_FOR_S = 10
const MOST_LOGGED = 200

const percent = (share) => `${Math.round(share * 100)}%`

export class Panels {
  /** @param wish asks the server: `wish(method, path, body)`. */
  constructor(wish) {
    this.wish = wish
    this.update = null
    this.texts = []
    /** By sku: the product as it was seen last, and when. */
    this.seen = new Map()
    /** By sku: name, url and price, of all that ever came. */
    this.known = new Map()
    this.log = []
    this.toResult = new Latency()
    this.toCard = new Latency()
    this.rates = { sampled: new Rate(), decoded: new Rate(), results: new Rate() }
  }

  take(update) {
    this.update = update
    const { detections, room, events, outcomes, server_time_s: nowS } = update
    for (const card of update.cards) this.known.set(card.sku, card)
    if (detections) this.takeDetections(detections, nowS)
    for (const [sku, { atS }] of this.seen) if (nowS - atS > SEEN_FOR_S) this.seen.delete(sku)
    this.rates.sampled.add(nowS, room.frames_sampled)
    this.rates.decoded.add(nowS, room.frames_decoded)
    this.rates.results.add(nowS, outcomes.answered ?? 0)
    if (update.events_missed) this.note(nowS, () => t('missed', update.events_missed))
    for (const event of events) this.takeEvent(event)
    this.draw()
  }

  takeDetections(detections, nowS) {
    this.toResult.add(detections.decided_at_s - detections.captured_at_s)
    this.texts = detections.texts
    for (const product of detections.products) {
      this.known.set(product.sku, product)
      this.seen.set(product.sku, { product, atS: nowS, detections })
    }
    this.newest = detections
  }

  takeEvent(event) {
    if (event.event === 'update') return
    this.known.set(event.sku, event)
    const tookS = event.emitted_at_s - event.captured_at_s
    if (event.event === 'card') this.toCard.add(tookS)
    this.note(event.emitted_at_s, () => {
      const why = event.event === 'card' ? seconds(tookS) : word(event.reason, 'reason')
      return `${word(event.event)} · ${event.name} · ${why}`
    })
  }

  note(atS, text) {
    this.log.unshift({ key: `${atS}-${this.log.length}-${Math.random()}`, atS, text })
    this.log.length = Math.min(this.log.length, MOST_LOGGED)
  }

  draw() {
    if (!this.update) return
    const { room, cards } = this.update
    drawRows(
      document.querySelector('#cards'),
      cards,
      ({ sku }) => sku,
      makeRow,
      (element, card) =>
        this.drawRow(element, card, room.pinned === card.sku ? [['pinned', t('pinned')]] : [], [
          room.pinned === card.sku ? this.button('unpin', 'DELETE', 'pin') : this.pinButton(card),
          this.button('mute', 'POST', 'mute', { sku: card.sku }),
          this.button('withdraw', 'POST', 'withdraw', { sku: card.sku }),
        ]),
    )
    this.drawSeen()
    this.drawWishes()
    drawRows(
      document.querySelector('#texts'),
      this.texts.map((line, index) => ({ ...line, index })),
      ({ index }) => index,
      () => h('li'),
      (element, line) => setText(element, `${line.text} ${percent(line.confidence)}`),
    )
    this.drawCounts()
    drawRows(
      document.querySelector('#log'),
      this.log,
      ({ key }) => key,
      makeEntry,
      (element, { atS, text }) => {
        setText(element.firstChild, new Date(atS * 1000).toLocaleTimeString(document.documentElement.lang))
        setText(element.lastChild, text())
      },
    )
  }

  drawSeen() {
    const { room } = this.update
    const rows = [...this.seen.values()].sort((a, b) => a.product.sku.localeCompare(b.product.sku))
    drawRows(
      document.querySelector('#seen'),
      rows,
      ({ product }) => product.sku,
      makeRow,
      (element, { product, detections }) => {
        const { sku } = product
        const isMuted = room.muted.includes(sku)
        const badges = [[product.is_shown ? 'sure' : 'uncertain', t(product.is_shown ? 'shown' : 'uncertain')]]
        if (room.cards.includes(sku)) badges.push(['pinned', t('onCard')])
        if (isMuted) badges.push(['uncertain', t('muted')])
        element.classList.toggle('dim', detections !== this.newest)
        this.drawRow(element, product, badges, [
          room.pinned === sku ? this.button('unpin', 'DELETE', 'pin') : this.pinButton(product),
          isMuted ? this.unmuteButton(sku) : this.button('mute', 'POST', 'mute', { sku }),
        ])
      },
    )
  }

  drawWishes() {
    const { room } = this.update
    const wishes = room.muted.map((sku) => ['muted', sku])
    if (room.pinned !== null) wishes.unshift(['pinned', room.pinned])
    drawRows(
      document.querySelector('#wishes'),
      wishes,
      ([kind, sku]) => `${kind} ${sku}`,
      makeRow,
      (row, [kind, sku]) =>
        this.drawRow(
          row,
          { name: this.known.get(sku)?.name ?? sku, sku },
          [[kind === 'muted' ? 'uncertain' : kind, t(kind)]],
          [kind === 'pinned' ? this.button('unpin', 'DELETE', 'pin') : this.unmuteButton(sku)],
        ),
    )
  }

  drawRow(element, product, badges, actions) {
    const [head, facts, buttons] = element.children
    setText(head, product.name)
    const { confidence, threshold, evidence = {} } = product
    const parts = [product.sku, priceText(product)]
    if (confidence !== undefined) {
      parts.push(percent(confidence))
      if (threshold !== null) parts.push(t('threshold', percent(threshold)))
      for (const [kind, value] of Object.entries(evidence)) parts.push(t(kind, percent(value)))
    }
    drawRows(
      facts,
      [...badges, ...parts.filter(Boolean).map((part) => ['', part])].map(([kind, text], index) => ({
        kind,
        text,
        index,
      })),
      ({ index }) => index,
      () => h('span'),
      (span, { kind, text }) => {
        span.className = kind ? `badge ${kind}` : ''
        setText(span, text)
      },
    )
    drawRows(
      buttons,
      actions,
      ({ key }) => key,
      () => h('button', { type: 'button' }),
      (button, { key, act }) => {
        setText(button, t(key))
        button.setAttribute('aria-label', `${t(key)}：${product.name}`)
        button.onclick = act
      },
    )
  }

  drawCounts() {
    const { room, outcomes, viewers } = this.update
    const rate = ({ perS }) => (perS === undefined ? '–' : t('perSecond', perS.toFixed(1)))
    const spread = (latency) =>
      latency.last === undefined ? '' : t('median', seconds(latency.quantile(0.5)), seconds(latency.quantile(0.95)))
    drawFigures(document.querySelector('#figures'), [
      ['look', t('capturedToResult'), seconds(this.toResult.last), spread(this.toResult)],
      ['card', t('capturedToCard'), seconds(this.toCard.last), spread(this.toCard)],
      ['sampled', t('sampled'), rate(this.rates.sampled)],
      ['decoded', t('decoded'), rate(this.rates.decoded), word(room.decode_mode)],
      ['results', t('results'), rate(this.rates.results)],
      ['viewers', t('viewers'), String(viewers)],
    ])
    const counts = (table) =>
      Object.entries(table)
        .filter(([, count]) => count)
        .map(([name, count]) => [name, word(name), String(count)])
    drawFigures(document.querySelector('#gate'), counts(room.gate))
    drawFigures(document.querySelector('#outcomes'), counts(outcomes))
  }

  /** With name and link its card comes at once. */
  pinButton({ sku, name, url, price, currency }) {
    const more = Object.entries({ price, currency }).filter(([, value]) => value)
    return this.button('pin', 'POST', 'pin', { sku, name, url, ...Object.fromEntries(more) })
  }

  unmuteButton(sku) {
    // Not in the path: browsers take the sku `..` for the way to the room itself.
    return this.button('unmute', 'DELETE', `mute?${new URLSearchParams({ sku })}`)
  }

  button(key, method, path, body) {
    return { key, act: () => this.wish(method, path, body) }
  }
}

function makeRow() {
  return h('li', {}, h('p', { className: 'name' }), h('p', { className: 'facts' }), h('p', { className: 'actions' }))
}

function makeEntry() {
  return h('li', {}, h('time'), h('span'))
}
