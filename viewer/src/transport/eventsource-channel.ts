import { type Channel, type ChannelListener, type RoomAddress, roomUrl } from './channel'
import type { FeedbackBatch } from './protocol'

const ABNORMAL = 1006
/** Statuses of a batch that would be refused each time that it is sent. */
const NEVER_TAKEN = [400, 413, 422]

/** For networks that block WebSockets: events by server-sent events, feedback by POST. */
export function openEventSource(address: RoomAddress, after: number | null, listener: ChannelListener): Channel {
  const source = new EventSource(roomUrl(address, 'events', 'http', after))
  let open = true
  const end = () => {
    open = false
    source.close()
  }
  source.onmessage = ({ data }) => listener.message(String(data))
  // The browser would reconnect by itself, without jitter and always after the same event.
  source.onerror = () => {
    end()
    listener.closed(ABNORMAL)
  }
  return {
    send(message) {
      if (message.type === 'feedback') void post(address, message, (text) => open && listener.message(text))
      // There is no way to ask on this connection: a new one begins with what is current.
      if (message.type === 'current') {
        end()
        listener.closed(ABNORMAL)
      }
    },
    close: end,
  }
}

async function post(address: RoomAddress, batch: FeedbackBatch, onReply: (text: string) => void): Promise<void> {
  try {
    const reply = await fetch(roomUrl(address, 'feedback', 'http'), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(batch),
      keepalive: true,
    })
    if (reply.ok) onReply(await reply.text())
    // It must not keep back those after it.
    else if (NEVER_TAKEN.includes(reply.status)) onReply(JSON.stringify({ type: 'ack', batch_id: batch.batch_id }))
  } catch {
    // Not acknowledged: it goes again.
  }
}
