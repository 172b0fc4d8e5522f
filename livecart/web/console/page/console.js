// The console: joins feed, picture and panels.

import { Feed } from './feed.js'
import { Panels } from './panels.js'
import { setText } from './rows.js'
import { Stage } from './stage.js'
import { followLanguage, t, word } from './texts.js'

const { room, ticket, root, source } = document.body.dataset
/** What is wrong now, each with its text's key and values. */
const problems = new Map()

// The address may be looked at over a shoulder, and copied; this tab keeps the ticket for its next load.
history.replaceState(null, '', location.pathname)
sessionStorage.setItem(`livecart-host:${room}`, ticket)

function tell(what, key, ...values) {
  if (key) problems.set(what, [key, values])
  else problems.delete(what)
  drawProblems()
}

function drawProblems() {
  const line = document.querySelector('#problem')
  setText(line, [...problems.values()].map(([key, values]) => t(key, ...values)).join(' · '))
  line.hidden = problems.size === 0
}

function drawState() {
  const { state, detail } = panels.update?.room ?? {}
  if (!state) return
  document.querySelector('#state').dataset.state = state
  setText(document.querySelector('#state-name'), word(state))
  setText(document.querySelector('#state-detail'), detail)
}

function drawNote() {
  const note = document.querySelector('#picture-note')
  const atS = stage.pictureAtS
  const behindS = atS === undefined ? 0 : Math.max(0, Date.now() / 1000 - stage.clockAheadS - atS)
  if (!stage.hasPicture) setText(note, t('noPlayback'))
  else setText(note, atS === undefined ? t('asTheyCome') : t('inStep', behindS.toFixed(0)))
}

async function wish(method, path, body) {
  try {
    await feed.wish(method, path, body)
    tell('wish', '')
  } catch (refused) {
    tell('wish', 'failed', refused.message)
  }
}

const stage = new Stage(source, (isPlaying) => tell('play', isPlaying ? '' : 'playProblem'))
const panels = new Panels(wish)
const feed = new Feed(`${root}/rooms/${encodeURIComponent(room)}`, ticket, {
  update(update) {
    stage.clockAheadS = Date.now() / 1000 - update.server_time_s
    if (update.detections) stage.add(update.detections)
    panels.take(update)
    drawState()
  },
  problem(problem) {
    tell('feed', problem)
    // The page of that address asks for the token.
    if (problem === 'expired') location.reload()
  },
})

for (const what of ['boxes', 'texts']) {
  const box = document.querySelector(`#show-${what}`)
  box.addEventListener('change', () => stage.show(what, box.checked))
}
document.querySelector('#cart').addEventListener('livecart-problem', ({ detail }) => {
  if (detail.problem !== 'event') tell('viewer', 'viewerProblem', detail.message)
})
document.querySelector('#pin-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const input = document.querySelector('#pin-sku')
  await wish('POST', 'pin', { sku: input.value.trim() })
  input.value = ''
})
followLanguage(() => {
  panels.draw()
  drawProblems()
  drawState()
  drawNote()
})
setInterval(drawNote, 500)
feed.run()
