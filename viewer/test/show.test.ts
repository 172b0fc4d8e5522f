import { describe, expect, it } from 'vitest'
import type { CardEvent } from '../src/model/card-event'
import { Show } from '../src/model/show'
import { ViewerMemory } from '../src/model/viewer-memory'
import { cardEvent } from './events'

function newShow(): Show {
  return new Show(new ViewerMemory('room', null))
}

function skus(cards: readonly CardEvent[]): string[] {
  return cards.map(({ sku }) => sku)
}

describe('Show', () => {
  it('has one card in front and the others in the tray, the latest first', () => {
    const show = newShow()
    for (const sku of ['a', 'b', 'c']) show.apply(cardEvent({ sku }))
    expect(show.front?.sku).toBe('c')
    expect(skus(show.tray)).toEqual(['b', 'a'])
  })

  it('moves the card with its updates, and keeps what they leave out', () => {
    const show = newShow()
    const card = cardEvent({ avoid: [[0, 0, 10, 10]] })
    show.apply(card)
    show.apply({ ...card, event: 'update', box: [1, 2, 3, 4], avoid: null })
    expect(show.front).toMatchObject({ box: [1, 2, 3, 4], avoid: [[0, 0, 10, 10]] })
  })

  it('takes a withdrawn card away; its product stays in the tray', () => {
    const show = newShow()
    const card = cardEvent({ sku: 'a' })
    show.apply(card)
    show.apply({ ...card, event: 'withdraw', reason: 'gone' })
    expect(show.front).toBeNull()
    expect(skus(show.tray)).toEqual(['a'])
  })

  it.each(['off_sale', 'host', 'muted', 'room_closed'])('offers no product that was withdrawn as %s', (reason) => {
    const show = newShow()
    const card = cardEvent()
    show.apply(card)
    show.engage(true)
    show.apply({ ...card, event: 'withdraw', reason })
    expect(show.front).toBeNull()
    expect(show.tray).toEqual([])
  })

  it('leaves a card under the hand of the viewer, and what is new waits', () => {
    const show = newShow()
    const card = cardEvent({ sku: 'a' })
    show.apply(card)
    show.engage(true)
    show.apply(cardEvent({ sku: 'b' }))
    show.apply({ ...card, event: 'withdraw', reason: 'gone' })
    expect(show.front?.sku).toBe('a')
    show.engage(false)
    expect(show.front?.sku).toBe('b')
  })

  it('holds no later card for a hand that was on one that had to go', () => {
    const show = newShow()
    const card = cardEvent()
    show.apply(card)
    show.engage(true)
    show.apply({ ...card, event: 'withdraw', reason: 'off_sale' })
    show.apply(cardEvent({ sku: 'b' }))
    show.apply(cardEvent({ sku: 'c' }))
    expect(show.front?.sku).toBe('c')
  })

  it('does not bring up again what had its time', () => {
    const show = newShow()
    const card = cardEvent({ sku: 'a' })
    show.apply(card)
    show.dismiss()
    show.apply({ ...card, event: 'update' })
    expect(show.front).toBeNull()
    show.apply(cardEvent({ sku: 'a' }))
    expect(show.front?.sku).toBe('a')
  })

  it('a newer card takes the place of an older one, for good', () => {
    const show = newShow()
    const [older, newer] = [cardEvent({ sku: 'a' }), cardEvent({ sku: 'b' })]
    show.apply(older)
    show.apply(newer)
    show.apply({ ...newer, event: 'withdraw', reason: 'gone' })
    expect(show.front).toBeNull()
  })

  it('keeps a closed product closed, but within reach', () => {
    const show = newShow()
    show.apply(cardEvent({ sku: 'a' }))
    show.close()
    show.apply(cardEvent({ sku: 'a' }))
    expect(show.front).toBeNull()
    expect(skus(show.tray)).toEqual(['a'])
  })

  it('offers nothing that was reported', () => {
    const show = newShow()
    show.apply(cardEvent({ sku: 'a' }))
    show.reportWrong('a')
    show.apply(cardEvent({ sku: 'a' }))
    expect(show.front).toBeNull()
    expect(show.tray).toEqual([])
  })

  it('muted, only gathers', () => {
    const show = newShow()
    show.apply(cardEvent({ sku: 'a' }))
    show.mute(true)
    expect(show.front).toBeNull()
    show.apply(cardEvent({ sku: 'b' }))
    expect(show.front).toBeNull()
    expect(skus(show.tray)).toEqual(['b', 'a'])
    show.mute(false)
    expect(show.front?.sku).toBe('b')
  })

  it('shows again after a seek what was not dismissed', () => {
    const show = newShow()
    const card = cardEvent({ sku: 'a' })
    show.apply(card)
    show.rewind()
    expect(show.front).toBeNull()
    show.apply(card)
    expect(show.front?.sku).toBe('a')
  })

  it('keeps a bounded tray', () => {
    const show = newShow()
    for (let count = 0; count < 50; count += 1) show.apply(cardEvent())
    expect(show.tray.length).toBe(29)
  })
})

describe('ViewerMemory', () => {
  it('lasts over a reload of the page, for its room', () => {
    const storage = new Map<string, string>()
    const asStorage = {
      getItem: (key: string) => storage.get(key) ?? null,
      setItem: (key: string, value: string) => storage.set(key, value),
    } as unknown as Storage
    const memory = new ViewerMemory('room', asStorage)
    memory.close('a')
    memory.reportWrong('b')
    memory.muted = true
    const again = new ViewerMemory('room', asStorage)
    expect([again.isClosed('a'), again.isWrong('a'), again.isWrong('b'), again.isClosed('b'), again.muted]).toEqual([
      true,
      false,
      true,
      true,
      true,
    ])
    expect(new ViewerMemory('other', asStorage).isClosed('a')).toBe(false)
  })

  it.each(['not json', 'null', '7', '{"closed": "a"}'])('begins anew after %s', (kept) => {
    const memory = new ViewerMemory('room', { getItem: () => kept } as unknown as Storage)
    expect([memory.isClosed('a'), memory.muted]).toEqual([false, false])
  })

  it('goes on where the browser forbids storage', () => {
    const forbidden = () => {
      throw new DOMException('no', 'SecurityError')
    }
    const memory = new ViewerMemory('room', { getItem: forbidden, setItem: forbidden } as unknown as Storage)
    memory.close('a')
    expect(memory.isClosed('a')).toBe(true)
  })
})
