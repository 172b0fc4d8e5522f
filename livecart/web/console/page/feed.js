// The room's feed (server-sent events, with the ticket in a header, where EventSource has none), and the host's wishes.

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 10_000
/** The server says something every second: after this it is taken for gone. */
const SILENT_AFTER_MS = 8000

export class Feed {
  /**
   * @param base address of the room, `/rooms/{id}`.
   * @param ticket a host's.
   * @param on `update` is told of each message, `problem` of "expired", "noRoom", "unreachable", or "" when all is well.
   */
  constructor(base, ticket, on) {
    this.base = base
    this.headers = { Authorization: `Bearer ${ticket}` }
    this.on = on
  }

  /** Follows the room until the ticket is refused. */
  async run() {
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      let heard = false
      try {
        const problem = await this.follow(() => {
          heard = true
        })
        this.on.problem(problem)
        if (problem === 'expired') return
      } catch {
        this.on.problem('unreachable')
      }
      if (heard) waitMs = FIRST_WAIT_MS
      await new Promise((done) => setTimeout(done, waitMs * (0.5 + Math.random() / 2)))
    }
  }

  async follow(onHeard) {
    const silence = new AbortController()
    let timer = setTimeout(() => silence.abort(), SILENT_AFTER_MS)
    try {
      const answer = await fetch(`${this.base}/detections`, { headers: this.headers, signal: silence.signal })
      if (answer.status === 401) return 'expired'
      if (answer.status === 404) return 'noRoom'
      if (!answer.ok) return 'unreachable'
      this.on.problem('')
      for await (const message of messages(answer.body)) {
        clearTimeout(timer)
        timer = setTimeout(() => silence.abort(), SILENT_AFTER_MS)
        onHeard()
        this.on.update(message)
      }
      return 'unreachable'
    } finally {
      clearTimeout(timer)
    }
  }

  /** Asks for a pin, a mute, a withdrawal; throws an Error with the server's message where it is refused. */
  async wish(method, path, body) {
    const headers = body ? { ...this.headers, 'Content-Type': 'application/json' } : this.headers
    const answer = await fetch(`${this.base}/${path}`, { method, headers, body: body && JSON.stringify(body) })
    const said = await answer.json()
    if (!answer.ok) throw new Error(said.error?.message ?? String(answer.status))
    return said
  }
}

async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let waiting = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const parts = (waiting + value).split('\n\n')
    waiting = parts.pop()
    for (const part of parts) yield JSON.parse(part.slice('data: '.length))
  }
}
