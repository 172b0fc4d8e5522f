/** One connection to the hub, by either transport. When it ends, another is made. */

import type { ClientMessage } from './protocol'

export interface ChannelListener {
  message(text: string): void
  /** The connection is no more. `code` is a WebSocket close code; 1006 where the transport has none. */
  closed(code: number): void
}

export interface Channel {
  send(message: ClientMessage): void
  close(): void
}

export interface RoomAddress {
  /** The hub's address, such as `wss://live.example.com` or `/`, relative to the page. */
  readonly src: string
  readonly room: string
  readonly ticket: string | null
}

export type TransportName = 'websocket' | 'eventsource'

export type OpenChannel = (address: RoomAddress, after: number | null, listener: ChannelListener) => Channel

/** `{src}/rooms/{room}/{what}`, with the scheme that the transport needs. */
export function roomUrl(address: RoomAddress, what: string, scheme: 'ws' | 'http', after: number | null = null): URL {
  const url = new URL(address.src, document.baseURI)
  const secure = url.protocol === 'https:' || url.protocol === 'wss:'
  url.protocol = `${scheme}${secure ? 's' : ''}:`
  url.pathname = `${url.pathname.replace(/\/$/, '')}/rooms/${encodeURIComponent(address.room)}/${what}`
  if (address.ticket) url.searchParams.set('ticket', address.ticket)
  if (after !== null) url.searchParams.set('after', String(after))
  return url
}
