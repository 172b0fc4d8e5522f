// The video as viewers see it, and over it the boxes of the detections whose frame is on the screen.

const SVG = 'http://www.w3.org/2000/svg'
/** Results that wait for their frame: a minute of them, at two a second. */
const MOST_RESULTS = 120
/** Where nothing changes there is no new result: an older one is drawn faintly, and at last not at all. */
const FRESH_S = 2
const LASTS_S = 15
const LABEL_PX = 13
/** As the viewer's clock.ts. */
const ZONE_STEP_S = 900
const FURTHEST_ZONE_S = 26 * 3600
const SAYS_ZONE = /(?:Z|[+-]\d\d(?::?\d\d)?)$/i
const HLS_SETTINGS = {
  // It would be made of a blob, which the page's policy does not let in.
  enableWorker: false,
  // A host wants to be near the live edge: a picture that fell behind catches up.
  liveSyncDurationCount: 3,
  liveMaxLatencyDurationCount: 8,
  maxLiveSyncPlaybackRate: 1.5,
}

export class Stage {
  /**
   * @param source where the stream is played; empty: nowhere.
   * @param onPlaying told whether the stream plays.
   */
  constructor(source, onPlaying) {
    this.stage = document.querySelector('#stage')
    this.video = document.querySelector('#stream')
    this.svg = document.querySelector('#sights')
    this.onPlaying = onPlaying
    this.results = []
    this.drawn = null
    this.drawnSize = ''
    /** This machine's clock minus the server's. */
    this.clockAheadS = 0
    this.shows = { boxes: true, texts: true }
    this.hasPicture = source !== ''
    if (this.hasPicture) this.play(source)
    else this.video.hidden = true
    setInterval(() => this.draw(), 100)
  }

  /** UNIX time of the picture on the screen, undefined where nobody knows. */
  get pictureAtS() {
    const date = this.hls?.playingDate
    if (date) return this.inZone(date.getTime() / 1000)
    const startMs = this.video.getStartDate?.().getTime()
    return Number.isFinite(startMs) ? this.inZone(startMs / 1000 + this.video.currentTime) : undefined
  }

  /** A date that names no zone is taken for this browser's. The live edge is now: what it is off by is the zone. */
  inZone(dateS) {
    if (this.saysZone) return dateS
    const { seekable, currentTime } = this.video
    const behindS = seekable.length ? seekable.end(seekable.length - 1) - currentTime : 0
    const offS = dateS + behindS - (Date.now() / 1000 - this.clockAheadS)
    return Math.abs(offS) > FURTHEST_ZONE_S ? dateS : dateS - Math.round(offS / ZONE_STEP_S) * ZONE_STEP_S
  }

  get saysZone() {
    const fragments = this.hls?.levels?.[this.hls.currentLevel ?? 0]?.details?.fragments ?? []
    const raw = fragments.find(({ rawProgramDateTime }) => rawProgramDateTime)?.rawProgramDateTime
    return !!raw && SAYS_ZONE.test(raw.trim())
  }

  add(detections) {
    this.results.push(detections)
    if (this.results.length > MOST_RESULTS) this.results.shift()
    this.draw()
  }

  show(what, isShown) {
    this.shows[what] = isShown
    this.redraw()
  }

  redraw() {
    this.drawn = undefined
    this.draw()
  }

  /** Draws the result that belongs to the picture, if another than before. */
  draw() {
    const detections = this.due()
    const atS = this.pictureAtS ?? Date.now() / 1000 - this.clockAheadS
    this.svg.classList.toggle('old', detections !== null && atS - detections.captured_at_s > FRESH_S)
    const { clientWidth, clientHeight } = this.stage
    // Before it is laid out there is nothing to fit into.
    if (!clientWidth || !clientHeight) return
    const size = `${clientWidth} ${clientHeight}`
    if (detections === this.drawn && size === this.drawnSize) return
    this.drawn = detections
    this.drawnSize = size
    this.svg.replaceChildren()
    if (!detections) return
    const { frame_width: width, frame_height: height } = detections
    // Fitted as the video is: object-fit contain.
    this.svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
    const framePxPerCssPx = 1 / Math.min(clientWidth / width, clientHeight / height)
    if (this.shows.texts) for (const { text, box } of detections.texts) this.box(box, 'read', text, framePxPerCssPx, detections)
    if (this.shows.boxes)
      for (const product of detections.products) {
        if (!product.box) continue
        const name = `${product.name} ${Math.round(product.confidence * 100)}%`
        this.box(product.box, product.is_shown ? 'sure' : 'uncertain', name, framePxPerCssPx, detections)
      }
  }

  due() {
    const newest = this.results.at(-1) ?? null
    const atS = this.pictureAtS
    if (atS === undefined) return newest
    const past = this.results.filter(({ captured_at_s }) => captured_at_s <= atS)
    const detections = past.at(-1) ?? null
    if (past.length > 1) this.results = this.results.slice(past.length - 1)
    return detections && atS - detections.captured_at_s <= LASTS_S ? detections : null
  }

  box([x1, y1, x2, y2], kind, name, unit, { frame_width: width }) {
    const size = LABEL_PX * unit
    const group = svg('g', { class: kind })
    group.append(svg('rect', { x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: 4 * unit }))
    const above = kind !== 'read' && y1 > size * 1.6
    const label = svg('text', {
      x: Math.min(x1 + 2 * unit, width - size * 4),
      y: above ? y1 - size * 0.4 : y1 + size * 1.1,
      'font-size': kind === 'read' ? size * 0.85 : size,
      'stroke-width': 3 * unit,
    })
    const room = Math.max(6, Math.floor(((width - x1) / size) * 1.2))
    label.textContent = name.length > room ? `${name.slice(0, room - 1)}…` : name
    group.append(label)
    this.svg.append(group)
  }

  play(source) {
    const { video } = this
    const tell = (isPlaying) => this.onPlaying(isPlaying)
    video.addEventListener('playing', () => tell(true))
    const isHls = new URL(source, document.baseURI).pathname.endsWith('.m3u8')
    // Chrome plays HLS without telling the playlist's dates, which boxes and cards go by; Safari tells them.
    const playsDated = video.canPlayType('application/vnd.apple.mpegurl') !== '' && 'getStartDate' in video
    if (!isHls || playsDated || !window.Hls?.isSupported()) {
      video.addEventListener('error', () => tell(false))
      video.src = source
      return
    }
    const hls = new window.Hls(HLS_SETTINGS)
    hls.on(window.Hls.Events.ERROR, (_, { fatal, type }) => {
      if (!fatal) return
      tell(false)
      if (type === window.Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError()
      else setTimeout(() => hls.loadSource(source), 5000)
    })
    hls.loadSource(source)
    hls.attachMedia(video)
    this.hls = hls
    document.querySelector('#cart').hls = hls
  }
}

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return element
}
