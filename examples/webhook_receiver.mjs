// Receives livecart's webhooks.
// npm install standardwebhooks; WEBHOOK_SECRET=whsec_… node webhook_receiver.mjs 8000

import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'

const webhook = new Webhook(process.env.WEBHOOK_SECRET)
// A message may come twice: its id is the same. Keep them where a restart does not lose them.
const seen = new Set()

async function textOf(request) {
  const pieces = []
  let bytes = 0
  for await (const piece of request) {
    bytes += piece.length
    if (bytes > 65_536) throw new Error('too long')
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

const server = createServer(async (request, response) => {
  try {
    // The text as it came: signed is not what a parser would write again.
    const message = webhook.verify(await textOf(request), request.headers)
    // Answer within 3 s; what takes longer goes into a queue of your own.
    const id = request.headers['webhook-id']
    if (!seen.has(id)) {
      seen.add(id)
      console.log(message.type, message.data.sku, JSON.stringify(message.data.offers))
    }
    response.writeHead(204).end()
  } catch {
    response.writeHead(401).end()
  }
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening', server.address().port))
