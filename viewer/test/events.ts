/** Events for tests. */
import { type CardEvent, type CardEventInput, parseCardEvent } from '../src/model/card-event'

let latest = 0

/** A card for one product; every one has another id and event number. */
export function cardEvent(fields: Partial<CardEvent> = {}): CardEvent {
  latest += 1
  const input: CardEventInput = {
    event: 'card',
    event_id: latest,
    card_id: `card-${latest}`,
    room: 'room-1',
    sku: `sku-${latest}`,
    name: '好欢螺螺蛳粉 300g',
    url: 'https://shop.example.com/item/1001',
    price: '12.90',
    currency: 'CNY',
    box: [200, 500, 500, 1000],
    frame_width: 720,
    frame_height: 1280,
    ...fields,
  }
  return parseCardEvent(input)
}
