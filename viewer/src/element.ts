/** `<live-cart>`: over a video, the card of the product that the stream shows. */

import {
  CLOCK_ATTRIBUTES,
  CONNECTION_ATTRIBUTES,
  clockName,
  clockOffsetS,
  dismissAfterS,
  OBSERVED_ATTRIBUTES,
  presenterSettings,
  transportName,
  VIEW_ATTRIBUTES,
} from './element-options'
import { type CardEvent, type CardEventInput, parseCardEvent } from './model/card-event'
import { type HlsLike, NoClock, ProgramDateTimeClock, PtsClock, type StreamClock } from './model/clock'
import { Show } from './model/show'
import { Timeline } from './model/timeline'
import { ViewerMemory } from './model/viewer-memory'
import { ReflectingElement } from './reflecting-element'
import { roomUrl } from './transport/channel'
import { openEventSource } from './transport/eventsource-channel'
import { HubClient, type HubProblem } from './transport/hub-client'
import type { FeedbackKind } from './transport/protocol'
import { openWebSocket } from './transport/websocket-channel'
import { MediaTicker } from './view/media-ticker'
import { Overlay } from './view/overlay'
import { Presenter } from './view/presenter'
import { Stage } from './view/stage'
import styles from './view/styles.css?inline'

export interface FeedbackDetail {
  readonly card_id: string
  readonly sku: string
  /** Of `livecart-dwell`: seconds that the card was in front. */
  readonly dwell_s?: number
}

export interface ProblemDetail {
  readonly problem: HubProblem
  readonly message: string
}

/** What the page reserves may move without telling: it is measured this often while a card is shown. */
const MEASURE_EVERY_MS = 400

/** One sheet for all elements of the page. */
let sheet: CSSStyleSheet | undefined

export class LiveCartElement extends ReflectingElement {
  static readonly observedAttributes = OBSERVED_ATTRIBUTES

  private readonly timeline = new Timeline()
  private showState = new Show(new ViewerMemory(''))
  private stage: Stage | null = null
  private presenter: Presenter | Overlay | null = null
  private ticker: MediaTicker | null = null
  private hub: HubClient | null = null
  private ownClock: StreamClock | null = null
  private usedClock: StreamClock = new NoClock()
  private hlsPlayer: HlsLike | null = null
  private attached: HTMLVideoElement | null = null
  private measuredAtMs = 0
  private reconnecting = false
  private listening = new AbortController()

  constructor() {
    super()
    const root = this.attachShadow({ mode: 'open' })
    sheet ??= makeSheet()
    root.adoptedStyleSheets = [sheet]
  }

  /** The clock that says when an event's frame is on the screen; null: as the attribute `clock` names it. */
  get clock(): StreamClock | null {
    return this.ownClock
  }

  set clock(clock: StreamClock | null) {
    this.ownClock = clock
    this.setClock()
  }

  /** The hls.js player, where one plays: `clock="program-date-time"` asks it for dates. */
  get hls(): HlsLike | null {
    return this.hlsPlayer
  }

  set hls(hls: HlsLike | null) {
    this.hlsPlayer = hls
  }

  /** Seconds until a card leaves by itself, 3 or more. */
  get dismissAfter(): number {
    return dismissAfterS(this)
  }

  set dismissAfter(seconds: number) {
    this.setAttribute('dismiss-after', String(seconds))
  }

  get muted(): boolean {
    return this.showState.muted
  }

  /** The video that the cards are drawn over. */
  get video(): HTMLVideoElement | null {
    const id = this.getAttribute('for')
    if (!id) return this.querySelector('video')
    const found = (this.getRootNode() as Document | ShadowRoot).getElementById(id)
    return found instanceof HTMLVideoElement ? found : null
  }

  /**
   * Shows a product, when its frame is on the screen.
   *
   * @throws InvalidEvent where it cannot be used; the message says why.
   */
  show(event: CardEventInput): void {
    this.accept({ ...event, event: 'card' })
  }

  /** Moves a card's box, or changes its price. */
  update(event: CardEventInput): void {
    this.accept({ ...event, event: 'update' })
  }

  /** Takes a card away: at once when given its id, with its frame when given an event. */
  withdraw(card: string | CardEventInput): void {
    if (typeof card === 'string') {
      this.showState.withdraw(card, null)
      this.presenter?.draw()
    } else {
      this.accept({ ...card, event: 'withdraw' })
    }
  }

  /** For this show, no card comes up by itself any more; or again. */
  mute(muted = true): void {
    this.showState.mute(muted)
    this.presenter?.draw()
  }

  connectedCallback(): void {
    this.takeUpProperties()
    const root = this.shadowRoot as ShadowRoot
    this.listening = new AbortController()
    this.stage = new Stage(this, () => this.presenter?.layOut())
    const slot = document.createElement('slot')
    slot.addEventListener('slotchange', () => this.attachVideo())
    root.replaceChildren(slot, this.stage.layer)
    this.ticker = new MediaTicker((mediaTimeS) => this.onFrame(mediaTimeS))
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', () => this.setTheme(), { signal: this.listening.signal })
    this.setTheme()
    this.enterRoom()
    this.attachVideo()
    // OBS tells the page when no scene that is on air, or in the preview, has it any more.
    addEventListener('obsSourceVisibleChanged', (event) => this.setVisible(event), { signal: this.listening.signal })
  }

  disconnectedCallback(): void {
    this.listening.abort()
    this.presenter?.dispose()
    this.hub?.stop()
    this.ticker?.dispose()
    this.stage?.dispose()
    this.presenter = this.hub = this.ticker = this.stage = this.attached = null
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after || !this.stage) return
    if (includes(CONNECTION_ATTRIBUTES, name)) this.enterRoomSoon(name === 'room')
    else if (includes(VIEW_ATTRIBUTES, name)) this.present()
    else if (includes(CLOCK_ATTRIBUTES, name)) this.setClock()
    else if (name === 'theme') this.setTheme()
    else this.attachVideo()
  }

  private accept(event: CardEventInput): void {
    this.timeline.add(parseCardEvent(event))
    this.onFrame(this.video?.currentTime ?? 0)
  }

  private onFrame(mediaTimeS: number): void {
    const { rewound, due } = this.timeline.advance(this.usedClock, mediaTimeS)
    if (rewound) this.showState.rewind()
    // All of them before anything is drawn: a card that is over by now does not flash up.
    for (const event of due) this.showState.apply(event)
    if (rewound || due.length > 0) this.presenter?.draw()
    else if (performance.now() - this.measuredAtMs > MEASURE_EVERY_MS) {
      this.measuredAtMs = performance.now()
      // Players put another video in the place of theirs, and pages are read on, without telling anybody.
      if (this.video !== this.attached) this.attachVideo()
      else this.presenter?.layOut()
    }
  }

  /** Attributes that change together make one connection. */
  private enterRoomSoon(newRoom: boolean): void {
    if (newRoom) {
      this.timeline.clear()
      this.showState = new Show(new ViewerMemory(this.room))
    }
    if (this.reconnecting) return
    this.reconnecting = true
    queueMicrotask(() => {
      this.reconnecting = false
      if (this.stage) this.enterRoom()
    })
  }

  private enterRoom(): void {
    this.hub?.stop()
    this.hub = null
    if (this.showState.tray.length === 0 && !this.showState.front)
      this.showState = new Show(new ViewerMemory(this.room))
    this.present()
    const { src, room, ticket } = this
    if (!src || !room) return
    const open = transportName(this) === 'eventsource' ? openEventSource : openWebSocket
    const isOverlay = this.hasAttribute('overlay')
    const listener = {
      event: (event: CardEvent) => {
        this.timeline.add(event)
        // The picture that it is drawn into is not encoded yet: there is nothing to wait for.
        if (isOverlay) this.onFrame(0)
      },
      current: (cards: readonly CardEvent[]) => this.reconcile(cards),
      problem: (problem: HubProblem, message: string) => this.onProblem(problem, message),
    }
    this.hub = new HubClient({ src, room, ticket }, open, listener, isOverlay)
    this.hub.start()
  }

  /** An overlay that nobody sees has no connection, and shows nothing when it comes back before it has one. */
  private setVisible(event: Event): void {
    if (!this.hasAttribute('overlay')) return
    if ((event as CustomEvent<{ visible?: boolean }>).detail?.visible === false) {
      this.hub?.stop()
      this.hub = null
      this.reconcile([])
    } else if (!this.hub) this.enterRoom()
  }

  /** The hub's word on what is shown stands above what was told before. */
  private reconcile(cards: readonly CardEvent[]): void {
    const current = new Set(cards.map(({ card_id }) => card_id))
    this.timeline.clear()
    for (const cardId of this.showState.announcedIds) {
      if (!current.has(cardId)) this.showState.withdraw(cardId, 'gone')
    }
    for (const card of cards) this.timeline.add(card)
    this.presenter?.draw()
  }

  private present(): void {
    if (!this.stage) return
    this.presenter?.dispose()
    const settings = presenterSettings(this)
    const report = (kind: FeedbackKind, product: CardEvent, dwellS?: number) => this.report(kind, product, dwellS)
    this.presenter = this.hasAttribute('overlay')
      ? new Overlay(this.stage.layer, this.showState, settings, this.codeUrl())
      : new Presenter(this.stage, this.showState, settings, report)
  }

  private codeUrl(): ((product: CardEvent) => string) | null {
    if (this.getAttribute('overlay') !== 'qr') return null
    const { src, room, ticket } = this
    return ({ card_id }) => roomUrl({ src, room, ticket }, `qr/${encodeURIComponent(card_id)}`, 'http').href
  }

  private report(kind: FeedbackKind, { card_id, sku }: CardEvent, dwellS?: number): void {
    const dwell = dwellS === undefined ? {} : { dwell_s: Math.round(dwellS * 1000) / 1000 }
    this.hub?.report({ kind, card_id, sku, ...dwell })
    this.tell<FeedbackDetail>(`livecart-${kind}`, { card_id, sku, ...dwell })
  }

  private onProblem(problem: HubProblem, message: string): void {
    console.warn(`live-cart: ${message}`)
    this.tell<ProblemDetail>('livecart-problem', { problem, message })
  }

  private tell<Detail>(type: string, detail: Detail): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }))
  }

  private attachVideo(): void {
    if (this.hasAttribute('overlay')) return
    const { video } = this
    this.toggleAttribute('data-slotted', video !== null && this.contains(video))
    this.stage?.attach(video)
    this.ticker?.attach(video)
    // Before it has loaded, a video does not know its picture's size.
    if (video !== this.attached)
      video?.addEventListener('resize', () => this.presenter?.layOut(), { signal: this.listening.signal })
    this.attached = video
    this.setClock()
  }

  private setClock(): void {
    const { video } = this
    const offsetS = clockOffsetS(this)
    const name = clockName(this)
    if (this.ownClock) this.usedClock = this.ownClock
    else if (!video || name === 'none') this.usedClock = new NoClock()
    else if (name === 'pts') this.usedClock = new PtsClock(offsetS)
    else this.usedClock = new ProgramDateTimeClock(video, () => this.hlsPlayer, offsetS)
  }

  private setTheme(): void {
    const theme = this.getAttribute('theme')
    const dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
    this.toggleAttribute('data-dark', dark)
  }
}

function makeSheet(): CSSStyleSheet {
  const made = new CSSStyleSheet()
  made.replaceSync(styles)
  return made
}

function includes(names: readonly string[], name: string): boolean {
  return names.includes(name)
}
