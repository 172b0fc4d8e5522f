import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openEventSource } from '../src/transport/eventsource-channel'
import type { FeedbackBatch } from '../src/transport/protocol'

const ADDRESS = { src: 'https://live.example.com', room: 'room-1', ticket: null }
const BATCH: FeedbackBatch = {
  type: 'feedback',
  batch_id: 'batch-0001',
  events: [{ id: 'event-0001', kind: 'click', card_id: 'c', sku: 's', at_s: 1 }],
}

let heard: string[]

async function sendAndBeAnswered(status: number): Promise<string[]> {
  vi.stubGlobal('fetch', () => Promise.resolve(new Response('{"type": "other"}', { status })))
  const channel = openEventSource(ADDRESS, null, { message: (text) => heard.push(text), closed: () => {} })
  channel.send(BATCH)
  await new Promise((done) => setTimeout(done, 0))
  channel.close()
  return heard.map((text) => JSON.parse(text).type)
}

beforeEach(() => {
  heard = []
  vi.stubGlobal(
    'EventSource',
    class {
      close() {}
    },
  )
})

afterEach(() => vi.unstubAllGlobals())

describe('openEventSource', () => {
  it.each([400, 413, 422])('is done with a batch that %i says will never be taken', async (status) => {
    expect(await sendAndBeAnswered(status)).toEqual(['ack'])
  })

  it.each([401, 403, 404, 429, 500, 503])('has a batch sent again that %i does not take now', async (status) => {
    expect(await sendAndBeAnswered(status)).toEqual([])
  })

  it('hands on the acknowledgement', async () => {
    expect(await sendAndBeAnswered(200)).toEqual(['other'])
  })
})
