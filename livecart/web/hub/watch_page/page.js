// Plays the room's stream, and says what went wrong. HLS goes by hls.js but where the browser plays it itself and tells
// the playlist's dates, which cards go by: Safari does both, Chrome only the first.
;(() => {
  const video = document.querySelector('#stream')
  const cart = document.querySelector('#cart')
  const source = video.dataset.source
  const texts = {
    play: '无法播放直播 / The stream cannot be played',
    ticket: '观看凭证无效或已过期 / The ticket is not valid, or has expired',
    origin: '此页面无权观看 / This page may not watch',
    room: '没有这个直播间 / There is no such room',
  }
  const tell = (problem) => {
    const line = document.querySelector('#problem')
    line.textContent = texts[problem]
    line.hidden = false
  }
  cart.addEventListener('livecart-problem', ({ detail }) => detail.problem in texts && tell(detail.problem))
  const isHls = new URL(source, document.baseURI).pathname.endsWith('.m3u8')
  const playsDated = video.canPlayType('application/vnd.apple.mpegurl') !== '' && 'getStartDate' in video
  if (!isHls || playsDated) {
    video.addEventListener('error', () => tell('play'))
    video.src = source
  } else if (window.Hls?.isSupported()) {
    // Its worker would be made of a blob, which the page's policy does not let in.
    const hls = new Hls({ enableWorker: false })
    hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
      if (!fatal) return
      tell('play')
      if (type === Hls.ErrorTypes.NETWORK_ERROR) setTimeout(() => hls.loadSource(source), 5000)
      else if (type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError()
    })
    hls.loadSource(source)
    hls.attachMedia(video)
    cart.hls = hls
  } else {
    tell('play')
  }
  video.addEventListener('playing', () => {
    document.querySelector('#problem').hidden = true
  })
})()
