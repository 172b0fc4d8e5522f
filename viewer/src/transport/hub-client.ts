/** Keeps a viewer connected to a room: reconnects, resumes after the last event, loses no feedback. */

import { type CardEvent, InvalidEvent } from '../model/card-event'
import { Backoff } from './backoff'
import { type Channel, type OpenChannel, type RoomAddress, roomUrl } from './channel'
import { FeedbackOutbox, randomId } from './feedback-outbox'
import { type Feedback, type FeedbackBatch, parseServerMessage, type ServerMessage } from './protocol'

/** The hub pings every 15 s: three are missed. */
const SILENCE_S = 45
/** An overlay asks this often what is shown, and goes blank this long after the last answer. */
const POLL_S = 1
const BLANK_AFTER_S = 2.2
const LONGEST_OVERLAY_WAIT_S = 5
/** A connection that lived this long was a good one. */
const STABLE_S = 10
const FEEDBACK_EVERY_S = 2
/** An acknowledgement that takes longer is lost. */
const RESEND_S = 10

/** Close code of what is not to the protocol. */
const NOT_THE_PROTOCOL = 1008
/** Close codes after which trying again with the same address is of no use. */
const REFUSALS: Readonly<Record<number, HubProblem>> = { 4401: 'ticket', 4403: 'origin', 4404: 'room' }

export type HubProblem = 'ticket' | 'origin' | 'room' | 'src' | 'event'

export interface HubListener {
  /** Something happened in the room. */
  event(event: CardEvent): void
  /** What is shown in the room, where that cannot be told from the events: all that is not named is gone. */
  current(cards: readonly CardEvent[]): void
  /**
   * `ticket`, `origin`, `room`: refused, `src`: no address; not tried again until it changes. `event`: one was unusable.
   */
  problem(problem: HubProblem, message: string): void
}

export class HubClient {
  private channel: Channel | null = null
  private lastEventId: number | null = null
  private wantsCurrent = true
  /** Cards that the hub has told of and not withdrawn. */
  private readonly told = new Set<string>()
  private clockSkewS = 0
  /** Whether this connection has sent a batch that is not acknowledged. */
  private batchSent = false
  private readonly outbox = new FeedbackOutbox()
  private readonly backoff: Backoff
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>()

  /**
   * @param isOverlay nothing may be shown that the hub does not confirm, and nobody is there to load the page again:
   *   without a connection the room shows nothing, and after a refusal too it is tried again.
   */
  constructor(
    private readonly address: RoomAddress,
    private readonly open: OpenChannel,
    private readonly listener: HubListener,
    private readonly isOverlay = false,
  ) {
    this.backoff = new Backoff(Math.random, isOverlay ? LONGEST_OVERLAY_WAIT_S : undefined)
  }

  start(): void {
    addEventListener('online', this.retryNow)
    addEventListener('pagehide', this.flush)
    this.connect()
  }

  stop(): void {
    removeEventListener('online', this.retryNow)
    removeEventListener('pagehide', this.flush)
    this.flush()
    for (const timer of this.timers.values()) clearTimeout(timer)
    this.timers.clear()
    this.channel?.close()
    this.channel = null
  }

  report(feedback: Omit<Feedback, 'id' | 'at_s'>): void {
    this.outbox.add({ ...feedback, id: randomId(), at_s: Date.now() / 1000 + this.clockSkewS })
    if (!this.timers.has('feedback')) this.after('feedback', FEEDBACK_EVERY_S, this.flush)
  }

  private connect(): void {
    const after = this.wantsCurrent ? null : this.lastEventId
    this.batchSent = false
    try {
      this.channel = this.open(this.address, after, {
        message: (text) => this.receive(text),
        closed: (code) => this.onClosed(code),
      })
    } catch (error) {
      // No URL, of another scheme, or ws: in a page of https: the element goes on without a hub.
      this.listener.problem('src', `the hub's address cannot be used: ${String(error)}`)
      return
    }
    this.awaitMessage()
  }

  private awaitMessage(): void {
    this.after('silence', this.isOverlay ? BLANK_AFTER_S : SILENCE_S, () => this.abandon())
  }

  private abandon(): void {
    this.channel?.close()
    this.onClosed(1006)
  }

  private onClosed(code: number): void {
    this.channel = null
    this.cancel('silence')
    this.cancel('stable')
    this.cancel('resend')
    this.cancel('poll')
    if (this.isOverlay) {
      this.wantsCurrent = true
      this.listener.current([])
    }
    // Sent again, it would end every connection, and no card would come any more.
    if (code === NOT_THE_PROTOCOL && this.batchSent) this.outbox.giveUp()
    const refused = REFUSALS[code]
    if (refused) {
      this.listener.problem(refused, `the hub refused this page (close code ${code})`)
      if (!this.isOverlay) return
    }
    this.after('retry', this.backoff.next(), () => this.connect())
  }

  private readonly retryNow = (): void => {
    if (this.cancel('retry')) this.connect()
  }

  private receive(text: string): void {
    this.awaitMessage()
    try {
      const hub = roomUrl(this.address, '', 'http').origin
      this.handle(parseServerMessage(text, hub, (error) => this.listener.problem('event', error.message)))
    } catch (error) {
      if (!(error instanceof InvalidEvent)) throw error
      this.listener.problem('event', error.message)
    }
  }

  private handle(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.greet(message)
        break
      case 'event':
        this.take(message.event)
        break
      case 'gap':
        this.askCurrent()
        break
      case 'ping':
        this.setClock(message.serverTimeS)
        this.channel?.send({ type: 'pong' })
        break
      case 'ack':
        this.outbox.acknowledge(message.batchId)
        this.batchSent = false
        this.cancel('resend')
        this.flush()
        break
      case 'unknown':
    }
  }

  private greet(hello: ServerMessage & { type: 'hello' }): void {
    this.setClock(hello.serverTimeS)
    this.after('stable', STABLE_S, () => this.backoff.reset())
    if (this.wantsCurrent || this.beganAnew(hello)) {
      this.wantsCurrent = false
      this.lastEventId = hello.lastEventId
      this.told.clear()
      for (const { card_id } of hello.current) this.told.add(card_id)
      this.listener.current(hello.current)
    }
    if (this.isOverlay) this.after('poll', POLL_S, () => this.askCurrent())
    if (this.outbox.unacknowledged) this.send(this.outbox.unacknowledged)
    else this.flush()
  }

  private askCurrent(): void {
    this.wantsCurrent = true
    this.channel?.send({ type: 'current' })
  }

  /**
   * A room that counts from the start again is another show: nothing of the last one is shown in it. Where it has
   * passed the viewer's number already, it shows a card of a lower one that was never told of.
   */
  private beganAnew({ lastEventId, current }: ServerMessage & { type: 'hello' }): boolean {
    const last = this.lastEventId
    if (last === null) return false
    return lastEventId < last || current.some(({ event_id, card_id }) => event_id <= last && !this.told.has(card_id))
  }

  private take(event: CardEvent): void {
    if (this.lastEventId !== null && event.event_id <= this.lastEventId) return
    this.lastEventId = event.event_id
    if (event.event === 'withdraw') this.told.delete(event.card_id)
    else this.told.add(event.card_id)
    this.listener.event(event)
  }

  private setClock(serverTimeS: number): void {
    if (Number.isFinite(serverTimeS)) this.clockSkewS = serverTimeS - Date.now() / 1000
  }

  private readonly flush = (): void => {
    this.cancel('feedback')
    if (!this.channel) return
    const batch = this.outbox.take()
    if (batch) this.send(batch)
  }

  private send(batch: FeedbackBatch): void {
    this.channel?.send(batch)
    this.batchSent = true
    this.after('resend', RESEND_S, () => {
      if (this.outbox.unacknowledged) this.send(this.outbox.unacknowledged)
    })
  }

  /** Runs once after so many seconds; a timer of the same name is replaced. */
  private after(name: string, seconds: number, run: () => void): void {
    this.cancel(name)
    const timer = setTimeout(() => {
      this.timers.delete(name)
      run()
    }, seconds * 1000)
    this.timers.set(name, timer)
  }

  private cancel(name: string): boolean {
    clearTimeout(this.timers.get(name))
    return this.timers.delete(name)
  }
}
