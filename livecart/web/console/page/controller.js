// What to explain now, with its number on the platform: for the person at the platform's own console.

import { Feed } from './feed.js'
import { drawRows, h, setText } from './rows.js'
import { followLanguage, priceText, t, word } from './texts.js'

const SECONDS_KEY = 'livecart-controller-seconds'
const MOST_BEFORE = 8

const { room, ticket, root } = document.body.dataset
const base = `${root}/rooms/${encodeURIComponent(room)}`
const find = (id) => document.querySelector(`#${id}`)
/** By sku: its number. */
let slots = new Map()
/** Cards shown now, the latest last: `{ sku, name, price, currency, endsAtMs }`. */
let shown = []
let before = []
let problem = ''
/** What stands beside the buttons: `[element, key, ...values]`. */
let notes = []
let isEdited = false

history.replaceState(null, '', location.pathname)
sessionStorage.setItem(`livecart-host:${room}`, ticket)

const now = () => shown.at(-1)
const slotOf = (sku) => (slots.has(sku) ? `№${slots.get(sku)}` : '№–')
const countMs = () => Math.min(600, Math.max(5, find('seconds').valueAsNumber || 30)) * 1000

function take(update) {
  const { state, detail } = update.room
  find('state').dataset.state = state
  setText(find('state-name'), word(state))
  setText(find('state-detail'), detail)
  const skus = new Set(update.cards.map(({ sku }) => sku))
  before = [...shown.filter(({ sku }) => !skus.has(sku)), ...before].slice(0, MOST_BEFORE)
  const known = new Map(shown.filter(({ sku }) => skus.has(sku)).map((card) => [card.sku, card]))
  const isNew = update.cards.some(({ sku }) => !known.has(sku))
  for (const card of update.cards) known.set(card.sku, { endsAtMs: Date.now() + countMs(), ...known.get(card.sku), ...card })
  shown = [...known.values()]
  if (isNew) notes = []
  draw()
  // Somebody may have changed the list at another machine.
  if (isNew) readSlots()
}

function draw() {
  const card = now()
  find('product').hidden = !card
  find('nothing').hidden = Boolean(card)
  document.title = card ? `${slotOf(card.sku)} ${card.name}` : `${room} · ${t('controller')}`
  if (card) {
    setText(find('slot'), slotOf(card.sku))
    setText(find('name'), card.name)
    setText(find('facts'), [card.sku, priceText(card), slots.has(card.sku) ? '' : t('noSlot')].filter(Boolean).join(' · '))
  }
  drawRows(
    find('before'),
    before.filter(({ sku }) => sku !== card?.sku).map((each, index) => ({ ...each, index })),
    ({ index }) => index,
    () => h('li', {}, h('p', { className: 'name' })),
    (row, each) => setText(row.firstChild, `${slotOf(each.sku)} ${each.name}`),
  )
  setText(find('problem'), problem && t(problem))
  find('problem').hidden = !problem
  for (const id of ['copied', 'saved']) setText(find(id), '')
  for (const [id, key, ...values] of notes) setText(find(id), t(key, ...values))
  drawTime()
}

function drawTime() {
  const card = now()
  if (!card) return
  const leftMs = Math.max(0, card.endsAtMs - Date.now())
  find('bar').value = leftMs / countMs()
  setText(find('left'), leftMs ? t('left', Math.ceil(leftMs / 1000)) : t('over'))
}

function note(...said) {
  notes = [said]
  draw()
}

async function copy() {
  const { sku } = now() ?? {}
  if (!sku) return
  try {
    await navigator.clipboard.writeText(sku)
    note('copied', 'copied', sku)
  } catch {
    // Only pages of https may.
    note('copied', 'notCopied', sku)
  }
}

function press() {
  if (!now()) return
  now().endsAtMs = Date.now() + countMs()
  notes = []
  draw()
}

async function askSlots(method, body) {
  const headers = { Authorization: `Bearer ${ticket}`, 'Content-Type': 'text/plain' }
  const answer = await fetch(`${base}/slots`, { method, headers, body })
  const said = await answer.json()
  if (!answer.ok) throw Object.assign(new Error(said.error?.message), { status: answer.status, lines: said.error?.lines })
  slots = new Map(said.slots.map(({ slot, sku }) => [sku, slot]))
  if (!isEdited) {
    find('slots').value = said.slots.map(({ slot, sku, name }) => [slot, sku, name ?? ''].join('\t')).join('\n')
  }
  draw()
}

async function readSlots() {
  try {
    await askSlots('GET')
  } catch ({ status }) {
    // Without a catalog there is no such address. Whatever else is wrong, the feed tells.
    if (status !== 404) return
    find('slots').disabled = true
    note('saved', 'noCatalog')
  }
}

async function saveSlots(event) {
  event.preventDefault()
  let lines = []
  try {
    isEdited = false
    await askSlots('PUT', find('slots').value)
    note('saved', 'saved', slots.size)
  } catch (refused) {
    isEdited = true
    lines = refused.lines ?? []
    notes = lines.length ? [] : [['saved', 'failed', refused.message]]
    draw()
  }
  const said = lines.map((each) => t('line', each.line, each[document.documentElement.lang]))
  find('bad').replaceChildren(...said.map((text) => h('li', { text })))
}

/** A phone beside the console must not go dark. Where it may not be asked for, it does. */
function stayAwake() {
  if (!document.hidden) navigator.wakeLock?.request('screen').catch(() => {})
}

find('copy').addEventListener('click', copy)
find('pressed').addEventListener('click', press)
find('slots-form').addEventListener('submit', saveSlots)
find('slots').addEventListener('input', () => {
  isEdited = true
})
find('settings').addEventListener('submit', (event) => event.preventDefault())
find('seconds').value = localStorage.getItem(SECONDS_KEY) ?? 30
find('seconds').addEventListener('change', () => {
  localStorage.setItem(SECONDS_KEY, countMs() / 1000)
  press()
})
document.addEventListener('keydown', (event) => {
  const isWriting = event.target.matches('input, textarea, button')
  if (isWriting || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === ' ') {
    event.preventDefault()
    press()
  } else if (event.key.toLowerCase() === 'c') copy()
})
document.addEventListener('visibilitychange', stayAwake)
stayAwake()
followLanguage(draw)
setInterval(drawTime, 250)
readSlots()
new Feed(base, ticket, {
  update: take,
  problem(reason) {
    problem = reason
    draw()
    // The page of that address asks for the token.
    if (reason === 'expired') location.reload()
  },
}).run()
