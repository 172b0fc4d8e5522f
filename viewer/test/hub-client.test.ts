import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { CardEvent } from '../src/model/card-event'
import { Backoff } from '../src/transport/backoff'
import { type ChannelListener, roomUrl } from '../src/transport/channel'
import { HubClient, type HubProblem } from '../src/transport/hub-client'
import type { ClientMessage, FeedbackBatch } from '../src/transport/protocol'
import { cardEvent } from './events'

/** A hub that the test speaks for. */
class FakeHub {
  readonly connections: { after: number | null; listener: ChannelListener; sent: ClientMessage[]; open: boolean }[] = []

  readonly open = (_address: unknown, after: number | null, listener: ChannelListener) => {
    const connection = { after, listener, sent: [] as ClientMessage[], open: true }
    this.connections.push(connection)
    return {
      send: (message: ClientMessage) => {
        if (connection.open) connection.sent.push(message)
      },
      close: () => {
        connection.open = false
      },
    }
  }

  get latest() {
    return this.connections.at(-1) as (typeof this.connections)[number]
  }

  say(message: object) {
    this.latest.listener.message(JSON.stringify(message))
  }

  hello(lastEventId: number, current: CardEvent[] = []) {
    this.say({
      type: 'hello',
      room: 'room-1',
      server_time_s: Date.now() / 1000 + 100,
      last_event_id: lastEventId,
      current,
    })
  }

  drop(code = 1006) {
    this.latest.open = false
    this.latest.listener.closed(code)
  }

  get batches(): FeedbackBatch[] {
    return this.connections.flatMap(({ sent }) => sent).filter((message) => message.type === 'feedback')
  }
}

let hub: FakeHub
let client: HubClient
let events: number[]
let current: string[][]
let problems: HubProblem[]

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(1)
  hub = new FakeHub()
  events = []
  current = []
  problems = []
  client = new HubClient({ src: 'wss://live.example.com', room: 'room-1', ticket: null }, hub.open, {
    event: ({ event_id }) => events.push(event_id),
    current: (cards) => current.push(cards.map(({ card_id }) => card_id)),
    problem: (problem) => problems.push(problem),
  })
  client.start()
})

afterEach(() => {
  client.stop()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.restoreAllMocks()
})

it('loads pictures from the hub, wherever the page is from', () => {
  const pictures: (string | null)[] = []
  for (const src of ['wss://live.example.com/hub', 'ws://live.example.com', '/']) {
    const other = new HubClient({ src, room: 'room-1', ticket: 'secret' }, hub.open, {
      event: ({ image_url }) => pictures.push(image_url),
      current: (cards) => pictures.push(...cards.map(({ image_url }) => image_url)),
      problem: () => {},
    })
    other.start()
    hub.hello(0, [{ ...cardEvent(), image_url: '/catalog/photos/1.jpg' }])
    hub.say({ type: 'event', event: { ...cardEvent(), event_id: 9, image_url: 'http://elsewhere.example.com/1.jpg' } })
    other.stop()
  }
  expect(pictures).toEqual([
    'https://live.example.com/catalog/photos/1.jpg',
    null,
    'http://live.example.com/catalog/photos/1.jpg',
    null,
    new URL('/catalog/photos/1.jpg', location.href).href,
    null,
  ])
})

describe('of an overlay', () => {
  beforeEach(() => {
    client.stop()
    client = new HubClient(
      { src: 'wss://live.example.com', room: 'room-1', ticket: null },
      hub.open,
      {
        event: ({ event_id }) => events.push(event_id),
        current: (cards) => current.push(cards.map(({ card_id }) => card_id)),
        problem: (problem) => problems.push(problem),
      },
      true,
    )
    client.start()
    hub.hello(7, [cardEvent({ card_id: 'a', event_id: 7 })])
  })

  it('shows nothing that the hub has not confirmed for two seconds, and takes its word when it is back', () => {
    vi.advanceTimersByTime(1000)
    expect(hub.latest.sent).toEqual([{ type: 'current' }])
    hub.hello(7, [cardEvent({ card_id: 'a', event_id: 7 })])
    vi.advanceTimersByTime(2000)
    expect(current).toEqual([['a'], ['a']])
    vi.advanceTimersByTime(300)
    expect(current.at(-1)).toEqual([])
    vi.advanceTimersByTime(1000)
    // Not what was missed since then: what is shown now.
    expect(hub.latest.after).toBeNull()
    hub.hello(9, [cardEvent({ card_id: 'b', event_id: 9 })])
    expect(current.at(-1)).toEqual(['b'])
  })

  it('comes back for ever, also after a refusal', () => {
    for (let refusal = 0; refusal < 10; refusal += 1) {
      hub.drop(4404)
      expect(current.at(-1)).toEqual([])
      vi.advanceTimersByTime(5000)
    }
    expect(hub.connections.length).toBeGreaterThan(10)
    expect(problems).toContain('room')
  })
})

describe('HubClient', () => {
  it('takes what is current, then events, each once', () => {
    hub.hello(7, [cardEvent({ card_id: 'now', event_id: 6 })])
    for (const event_id of [7, 8, 8, 9]) hub.say({ type: 'event', event: cardEvent({ event_id }) })
    expect(current).toEqual([['now']])
    expect(events).toEqual([8, 9])
  })

  it('resumes after the last event, without asking what is current', () => {
    hub.hello(7)
    hub.say({ type: 'event', event: cardEvent({ event_id: 8 }) })
    hub.drop()
    vi.advanceTimersByTime(1000)
    expect(hub.connections.map(({ after }) => after)).toEqual([null, 8])
    hub.hello(12, [cardEvent({ event_id: 10 })])
    expect(current).toEqual([[]])
    hub.say({ type: 'event', event: cardEvent({ event_id: 9 }) })
    expect(events).toEqual([8, 9])
  })

  it('asks what is current after a gap', () => {
    hub.hello(7)
    hub.say({ type: 'gap' })
    expect(hub.latest.sent).toContainEqual({ type: 'current' })
    hub.hello(40, [cardEvent({ card_id: 'later' })])
    expect(current).toEqual([[], ['later']])
    hub.say({ type: 'event', event: cardEvent({ event_id: 40 }) })
    expect(events).toEqual([])
  })

  it('begins anew with a room that counts from the start again', () => {
    hub.hello(70)
    hub.drop()
    vi.advanceTimersByTime(1000)
    hub.hello(2, [cardEvent({ card_id: 'new show' })])
    hub.say({ type: 'event', event: cardEvent({ event_id: 3 }) })
    expect(current).toEqual([[], ['new show']])
    expect(events).toEqual([3])
  })

  it('begins anew with such a room also where it has passed the number of the last event', () => {
    hub.hello(1)
    hub.say({ type: 'event', event: cardEvent({ card_id: 'old', event_id: 12 }) })
    hub.drop()
    vi.advanceTimersByTime(1000)
    hub.hello(30, [cardEvent({ card_id: 'new show', event_id: 11 })])
    for (const event_id of [13, 30, 31]) hub.say({ type: 'event', event: cardEvent({ event_id }) })
    expect(current).toEqual([[], ['new show']])
    expect(events).toEqual([12, 31])
  })

  it('goes on with the same room where its cards are those that it has', () => {
    hub.hello(1, [cardEvent({ card_id: 'a', event_id: 1 })])
    hub.say({ type: 'event', event: cardEvent({ card_id: 'b', event_id: 2 }) })
    hub.say({ type: 'event', event: cardEvent({ card_id: 'b', event_id: 3, event: 'withdraw' }) })
    hub.drop()
    vi.advanceTimersByTime(1000)
    hub.hello(4, [cardEvent({ card_id: 'a', event_id: 1 }), cardEvent({ card_id: 'c', event_id: 4 })])
    hub.say({ type: 'event', event: cardEvent({ card_id: 'c', event_id: 4 }) })
    expect(current).toEqual([['a']])
    expect(events).toEqual([2, 3, 4])
  })

  it('answers pings, and gives a silent connection up', () => {
    hub.hello(1)
    vi.advanceTimersByTime(40_000)
    hub.say({ type: 'ping', server_time_s: 1 })
    expect(hub.latest.sent).toContainEqual({ type: 'pong' })
    vi.advanceTimersByTime(44_000)
    expect(hub.connections.length).toBe(1)
    vi.advanceTimersByTime(2_000)
    expect(hub.connections.length).toBe(2)
    expect(hub.connections[0]?.open).toBe(false)
  })

  it('waits longer each time, until a connection was good for a while', () => {
    for (const waitedS of [1, 2, 4, 8, 16, 30, 30]) {
      const before = hub.connections.length
      hub.drop()
      vi.advanceTimersByTime(waitedS * 1000 - 1)
      expect(hub.connections.length).toBe(before)
      vi.advanceTimersByTime(1)
      expect(hub.connections.length).toBe(before + 1)
    }
    hub.hello(1)
    vi.advanceTimersByTime(10_000)
    hub.drop()
    vi.advanceTimersByTime(1000)
    expect(hub.connections.length).toBe(9)
  })

  it('tries at once when the browser is online again', () => {
    hub.drop()
    hub.drop()
    dispatchEvent(new Event('online'))
    expect(hub.connections.length).toBe(2)
    vi.advanceTimersByTime(60_000)
  })

  it.each([
    [4401, 'ticket'],
    [4403, 'origin'],
    [4404, 'room'],
  ])('takes %i for an answer', (code, problem) => {
    hub.drop(code)
    vi.advanceTimersByTime(300_000)
    expect(problems).toEqual([problem])
    expect(hub.connections.length).toBe(1)
  })

  it('tells of events that cannot be used, and goes on', () => {
    hub.hello(1, [{ ...cardEvent(), url: 'javascript:alert(1)' }, cardEvent({ card_id: 'good' })])
    hub.latest.listener.message('not json')
    hub.say({ type: 'event', event: { event_id: 2 } })
    hub.say({ type: 'of the future' })
    hub.say({ type: 'event', event: cardEvent({ event_id: 3 }) })
    expect(problems).toEqual(['event', 'event', 'event'])
    expect(current).toEqual([['good']])
    expect(events).toEqual([3])
  })

  it('sends feedback in batches, by the clock of the server, one at a time', () => {
    hub.hello(1)
    for (let count = 0; count < 25; count += 1) client.report({ kind: 'impression', card_id: 'c', sku: 's' })
    vi.advanceTimersByTime(2000)
    expect(hub.batches.map(({ events: sent }) => sent.length)).toEqual([20])
    expect(hub.batches[0]?.events[0]?.at_s).toBeCloseTo(Date.now() / 1000 + 98, 0)
    hub.say({ type: 'ack', batch_id: hub.batches[0]?.batch_id })
    expect(hub.batches.map(({ events: sent }) => sent.length)).toEqual([20, 5])
    const ids = hub.batches.flatMap(({ events: sent }) => sent.map(({ id }) => id))
    expect(new Set(ids).size).toBe(25)
  })

  it('sends an unacknowledged batch again, as it was, and then no more', () => {
    hub.hello(1)
    client.report({ kind: 'click', card_id: 'c', sku: 's' })
    vi.advanceTimersByTime(2000)
    hub.drop()
    vi.advanceTimersByTime(1000)
    hub.hello(1)
    expect(hub.batches.length).toBe(2)
    expect(hub.batches[1]).toEqual(hub.batches[0])
    vi.advanceTimersByTime(10_000)
    expect(hub.batches.length).toBe(3)
    hub.say({ type: 'ack', batch_id: hub.batches[0]?.batch_id })
    vi.advanceTimersByTime(20_000)
    expect(hub.batches.length).toBe(3)
  })

  it('gives up a batch that the hub says is not to the protocol, and goes on', () => {
    hub.hello(1)
    client.report({ kind: 'click', card_id: 'a', sku: 's' })
    vi.advanceTimersByTime(2000)
    hub.drop(1008)
    vi.advanceTimersByTime(1000)
    hub.hello(1)
    client.report({ kind: 'click', card_id: 'b', sku: 's' })
    vi.advanceTimersByTime(2000)
    expect(hub.batches.map(({ events }) => events.map(({ card_id }) => card_id))).toEqual([['a'], ['b']])
  })

  it('keeps a batch that such an end was not about', () => {
    hub.hello(1)
    client.report({ kind: 'click', card_id: 'a', sku: 's' })
    vi.advanceTimersByTime(2000)
    hub.drop()
    vi.advanceTimersByTime(1000)
    hub.drop(1008)
    vi.advanceTimersByTime(2000)
    hub.hello(1)
    expect(hub.batches.map(({ events }) => events.map(({ card_id }) => card_id))).toEqual([['a'], ['a']])
  })

  it('keeps clicks rather than impressions when the hub is away for long', () => {
    hub.drop()
    client.report({ kind: 'click', card_id: 'c', sku: 's' })
    for (let count = 0; count < 300; count += 1) client.report({ kind: 'impression', card_id: 'c', sku: 's' })
    vi.advanceTimersByTime(1000)
    hub.hello(1)
    vi.advanceTimersByTime(2000)
    for (let count = 0; count < 20; count += 1) hub.say({ type: 'ack', batch_id: hub.batches.at(-1)?.batch_id })
    const sent = new Map(hub.batches.map((batch) => [batch.batch_id, batch.events]))
    const kinds = [...sent.values()].flat().map(({ kind }) => kind)
    expect(kinds.length).toBe(200)
    expect(kinds).toContain('click')
  })
})

describe('Backoff', () => {
  it('spreads attempts over the whole time', () => {
    expect(new Backoff(() => 0).next()).toBe(0)
    expect(new Backoff(() => 0.5).next()).toBe(0.5)
  })
})

describe('roomUrl', () => {
  const address = { src: 'https://live.example.com/hub/', room: '一号 房/间', ticket: 'a+b' }

  it('speaks the scheme of the transport and keeps the path', () => {
    expect(roomUrl(address, 'events', 'ws', 7).href).toBe(
      'wss://live.example.com/hub/rooms/%E4%B8%80%E5%8F%B7%20%E6%88%BF%2F%E9%97%B4/events?ticket=a%2Bb&after=7',
    )
    expect(roomUrl({ ...address, src: 'wss://live.example.com', ticket: null }, 'feedback', 'http').href).toBe(
      'https://live.example.com/rooms/%E4%B8%80%E5%8F%B7%20%E6%88%BF%2F%E9%97%B4/feedback',
    )
  })
})
