// Plays the room's stream, and says what went wrong. HLS goes by hls.js but where the browser plays it itself and tells
// the playlist's dates, which cards go by: Safari does both, Chrome only the first.
;(() => {
  const video = document.querySelector('#stream')
  const cart = document.querySelector('#cart')
  const source = video.dataset.source
  const texts = {
    wait: '主播尚未开播，或观看人数已满；稍后重试 / Nobody sends yet, or too many watch; trying again',
    play: '无法播放直播 / The stream cannot be played',
    ticket: '观看凭证无效或已过期 / The ticket is not valid, or has expired',
    origin: '此页面无权观看 / This page may not watch',
    room: '没有这个直播间 / There is no such room',
  }
  /** WHEP: an offer out, the answer in; once more where nobody sends yet, or the sender went away. */
  async function playByWebRtc() {
    const connection = new RTCPeerConnection()
    const again = () => {
      connection.close()
      setTimeout(playByWebRtc, 3000)
    }
    try {
      for (const kind of ['video', 'audio']) connection.addTransceiver(kind, { direction: 'recvonly' })
      const stream = new MediaStream()
      connection.addEventListener('track', ({ track }) => {
        stream.addTrack(track)
        video.srcObject = stream
      })
      await connection.setLocalDescription()
      await new Promise((gathered) => {
        connection.addEventListener('icecandidate', ({ candidate }) => candidate ?? gathered())
        setTimeout(gathered, 2000)
      })
      const body = connection.localDescription.sdp
      const answer = await fetch(source, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body })
      if (!answer.ok) throw new Error(`${answer.status}`)
      await connection.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
      connection.addEventListener('connectionstatechange', () => {
        if (['failed', 'disconnected', 'closed'].includes(connection.connectionState)) again()
      })
    } catch {
      tell('wait')
      again()
    }
  }
  const tell = (problem) => {
    const line = document.querySelector('#problem')
    line.textContent = texts[problem]
    line.hidden = false
  }
  cart.addEventListener('livecart-problem', ({ detail }) => detail.problem in texts && tell(detail.problem))
  const { pathname } = new URL(source, document.baseURI)
  const isHls = pathname.endsWith('.m3u8')
  const playsDated = video.canPlayType('application/vnd.apple.mpegurl') !== '' && 'getStartDate' in video
  if (pathname.endsWith('/whep')) {
    playByWebRtc()
  } else if (!isHls || playsDated) {
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
