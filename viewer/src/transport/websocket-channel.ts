import { type Channel, type ChannelListener, type RoomAddress, roomUrl } from './channel'

/** The usual way: both directions over one WebSocket. */
export function openWebSocket(address: RoomAddress, after: number | null, listener: ChannelListener): Channel {
  const socket = new WebSocket(roomUrl(address, 'events', 'ws', after))
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') listener.message(data)
  }
  socket.onclose = ({ code }) => listener.closed(code)
  return {
    send(message) {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
    },
    close() {
      socket.onmessage = null
      socket.onclose = null
      socket.close(1000)
    },
  }
}
