// Plays a drawn picture instead of a stream and makes the events itself, through the element's typed API.

const card = document.querySelector('live-cart')
const FRAME = { frame_width: 1280, frame_height: 720 }
const PRODUCTS = {
  1001: {
    sku: '1001',
    name: '好欢螺螺蛳粉 300g',
    url: 'https://shop.example.com/item/1001',
    price: '12.90',
    currency: 'CNY',
  },
  1002: {
    sku: '1002',
    name: '意式浓缩咖啡豆 500g',
    url: 'https://shop.example.com/item/1002',
    price: '68.00',
    currency: 'CNY',
  },
}

const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 })
const pen = canvas.getContext('2d')
let box = [520, 260, 700, 540]
let shown = null

function draw() {
  pen.fillStyle = '#7d8aa0'
  pen.fillRect(0, 0, 1280, 720)
  pen.fillStyle = '#f0c9a8'
  pen.beginPath()
  pen.ellipse(600, 150, 70, 90, 0, 0, 2 * Math.PI)
  pen.fill()
  pen.fillStyle = '#c8402e'
  pen.fillRect(box[0], box[1], box[2] - box[0], box[3] - box[1])
  requestAnimationFrame(draw)
}

const actions = {
  card(sku) {
    if (shown) card.withdraw(shown.card_id)
    shown = { ...PRODUCTS[sku], ...FRAME, card_id: crypto.randomUUID(), box, avoid: [[530, 60, 670, 240]] }
    card.show(shown)
  },
  move() {
    const x = 100 + Math.random() * 900
    box = [x, 260, x + 180, 540]
    if (shown) card.update({ ...shown, box })
  },
  withdraw() {
    if (shown) card.withdraw(shown.card_id)
  },
  language() {
    card.lang = card.lang === 'en' ? 'zh-CN' : 'en'
  },
  theme() {
    card.theme = card.theme === 'dark' ? 'light' : 'dark'
  },
}

document.querySelector('#controls').addEventListener('submit', (event) => {
  event.preventDefault()
  actions[event.submitter.name](event.submitter.value)
})

for (const kind of ['impression', 'click', 'close', 'wrong', 'dwell', 'problem']) {
  card.addEventListener(`livecart-${kind}`, ({ detail }) => {
    document.querySelector('#log').textContent = `${kind} ${JSON.stringify(detail)}`
  })
}

draw()
document.querySelector('video').srcObject = canvas.captureStream(25)
