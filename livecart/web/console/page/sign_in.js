// Gets a host's ticket by the token, and goes on to the console with it. A ticket that this tab has is tried first.

import { followLanguage, t } from './texts.js'

const { root } = document.querySelector('script[data-root]').dataset
const [, room] = location.pathname.match(/\/rooms\/([^/]+)\/\w+$/)
const key = `livecart-host:${decodeURIComponent(room)}`
let problem = ''

function tell(name) {
  problem = name
  const line = document.querySelector('#problem')
  line.hidden = !name
  line.textContent = name ? t(name) : ''
}

const enter = (ticket) => location.replace(`${location.pathname}?${new URLSearchParams({ ticket })}`)

async function ask(token) {
  const answer = await fetch(`${root}/rooms/${room}/tickets`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ role: 'host' }),
  })
  if (!answer.ok) return tell('wrongToken')
  const { ticket } = await answer.json()
  sessionStorage.setItem(key, ticket)
  enter(ticket)
}

const refused = new URLSearchParams(location.search).get('ticket')
const kept = sessionStorage.getItem(key)
followLanguage(() => tell(problem))
if (kept && kept !== refused) {
  enter(kept)
} else {
  sessionStorage.removeItem(key)
  if (refused) tell('expired')
  // A ticket that is good for nothing need not stay in the address.
  history.replaceState(null, '', location.pathname)
  document.querySelector('#token').focus()
}
document.querySelector('#form').addEventListener('submit', (event) => {
  event.preventDefault()
  const token = document.querySelector('#token').value.trim()
  // A header holds nothing else, and no token has it.
  if (!/^[\x21-\x7e]+$/.test(token)) return tell('wrongToken')
  ask(token).catch(() => tell('unreachable'))
})
