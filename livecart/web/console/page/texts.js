// What the console says, in both languages; the page itself is written in Chinese.

const TEXTS = {
  title: ['主播控制台', 'Host console'],
  askToken: ['访问令牌（rooms.toml 的 [http] token）', 'Access token (token in [http] of rooms.toml)'],
  askNote: [
    '令牌只用来换取本直播间的主播凭证，不会保存。',
    'The token only gets a host’s ticket of this room; it is not kept.',
  ],
  enter: ['进入', 'Enter'],
  wrongToken: ['令牌不正确', 'The token is wrong'],
  expired: ['凭证无效或已过期，请重新输入令牌', 'The ticket is not valid, or has expired: enter the token again'],
  unreachable: ['连接不上服务器', 'The server cannot be reached'],
  picture: ['观众画面与识别框', 'What viewers see, and boxes'],
  showBoxes: ['商品框', 'Products'],
  showTexts: ['文字框', 'Texts'],
  noPlayback: ['未设置 playback_url，只画识别框', 'No playback_url is set: boxes only'],
  inStep: ['识别框与画面同步，画面延迟 {0} 秒', 'Boxes are in step with the picture, which is {0} s behind'],
  asTheyCome: ['识别框按识别时刻显示', 'Boxes are drawn as they come'],
  figures: ['延迟与速度', 'Latency and rate'],
  capturedToResult: ['拍摄 → 识别', 'Captured → result'],
  capturedToCard: ['拍摄 → 卡片', 'Captured → card'],
  sampled: ['取样', 'Sampled'],
  decoded: ['解码', 'Decoded'],
  results: ['识别', 'Results'],
  viewers: ['观众', 'Viewers'],
  perSecond: ['{0} 帧/秒', '{0} frames/s'],
  median: ['中位 {0} · P95 {1}', 'median {0} · p95 {1}'],
  cards: ['已发出的卡片（观众随画面看到）', 'Cards sent (viewers see them with the picture)'],
  noCards: ['没有卡片', 'No card'],
  wishes: ['置顶与屏蔽', 'Pinned and muted'],
  pinSku: ['按货号置顶（下次识别到时出卡片）', 'Pin by sku (its card comes when it is next seen)'],
  pin: ['置顶', 'Pin'],
  unpin: ['取消置顶', 'Unpin'],
  mute: ['屏蔽', 'Mute'],
  unmute: ['取消屏蔽', 'Unmute'],
  withdraw: ['收回', 'Withdraw'],
  pinned: ['已置顶', 'Pinned'],
  muted: ['已屏蔽', 'Muted'],
  onCard: ['卡片中', 'On a card'],
  shown: ['可展示', 'Sure'],
  uncertain: ['不确定', 'Uncertain'],
  threshold: ['阈值 {0}', 'threshold {0}'],
  photo: ['图 {0}', 'photo {0}'],
  text: ['字 {0}', 'text {0}'],
  label: ['类 {0}', 'label {0}'],
  seen: ['识别到的商品', 'Products seen'],
  noSeen: ['最近没有识别到商品', 'No product seen lately'],
  texts: ['读到的文字', 'Texts read'],
  noTexts: ['没有读到文字', 'No text read'],
  gate: ['画面筛选', 'Gate'],
  outcomes: ['送识别的画面', 'Frames sent to the recogniser'],
  log: ['事件', 'Events'],
  noEvents: ['打开本页以来没有事件', 'No event since this page was opened'],
  missed: ['漏掉 {0} 条事件', '{0} events were missed'],
  failed: ['操作失败：{0}', 'It was not done: {0}'],
  noRoom: ['没有这个直播间', 'There is no such room'],
  playProblem: ['无法播放直播画面', 'The stream cannot be played'],
  controller: ['讲解提示', 'What to explain'],
  fromPrice: ['{0} 起', 'from {0}'],
  explain: ['讲解', 'Explain'],
  nothing: ['现在没有要讲解的商品', 'Nothing to explain now'],
  noSlot: ['没有序号', 'no number'],
  copy: ['复制货号 (C)', 'Copy sku (C)'],
  copied: ['已复制 {0}', 'Copied {0}'],
  notCopied: ['无法复制，请手动选择 {0}', 'It cannot be copied; select {0}'],
  pressed: ['已点讲解，重新计时 (空格)', 'Explained, count again (space)'],
  seconds: ['计时（秒）', 'Seconds to count'],
  left: ['还有 {0} 秒', '{0} s left'],
  over: ['时间到，商品还在画面中，可再次讲解', 'Time is over and the product still on screen: explain it again'],
  before: ['刚才', 'Before'],
  none: ['还没有', 'None yet'],
  slots: ['序号表', 'Numbers'],
  slotsLabel: [
    '每行一个：序号 货号，可从表格直接粘贴',
    'One a line: number and sku, as a spreadsheet copies them',
  ],
  save: ['保存', 'Save'],
  saved: ['已保存 {0} 个序号', '{0} numbers are saved'],
  line: ['第 {0} 行：{1}', 'Line {0}: {1}'],
  noCatalog: ['序号要在商品库中保存：请在 rooms.toml 设置 [catalog]', 'Numbers are kept in the catalog: set [catalog] in rooms.toml'],
  viewerProblem: ['卡片预览连接不上：{0}', 'The preview of cards cannot connect: {0}'],
}

/** Words of the API that are shown as they are where they have no translation. */
const WORDS = {
  connecting: ['连接中', 'connecting'],
  live: ['直播中', 'live'],
  stalled: ['画面停滞', 'stalled'],
  reconnecting: ['重新连接', 'reconnecting'],
  ended: ['已结束', 'ended'],
  closed: ['已关闭', 'closed'],
  unknown: ['–', '–'],
  key_frames: ['只解关键帧', 'key frames'],
  all_frames: ['解每一帧', 'all frames'],
  card: ['出卡片', 'card'],
  withdraw: ['收卡片', 'withdraw'],
  first: ['首帧', 'first'],
  changed: ['有变化', 'changed'],
  wanted: ['待确认', 'wanted'],
  forced: ['定时', 'forced'],
  unchanged: ['跳过：无变化', 'skipped: unchanged'],
  background: ['跳过：已看过的场景', 'skipped: background'],
  tracked: ['跳过：跟踪中', 'skipped: tracked'],
  blurred: ['跳过：模糊', 'skipped: blurred'],
  transition: ['跳过：转场', 'skipped: transition'],
  pending: ['跳过：等待结果', 'skipped: a result is pending'],
  answered: ['已识别', 'answered'],
  replaced: ['被新画面取代', 'replaced'],
  stale: ['过时', 'stale'],
  gave_up: ['放弃', 'gave up'],
  overtaken: ['被超过', 'overtaken'],
  refused: ['被拒绝', 'refused'],
  failed: ['失败', 'failed'],
  update: ['改卡片', 'update'],
  'reason:gone': ['商品离开画面', 'gone'],
  'reason:replaced': ['换了商品', 'replaced'],
  'reason:muted': ['已屏蔽', 'muted'],
  'reason:host': ['主播收回', 'by the host'],
  'reason:off_sale': ['已下架或售罄', 'off sale'],
  'reason:stream_lost': ['断流', 'stream lost'],
  'reason:room_closed': ['直播间关闭', 'room closed'],
}

const LANGUAGE_KEY = 'livecart-console-language'

let language = sessionStorage.getItem(LANGUAGE_KEY) === 'en' ? 1 : 0

/** The text of that key, with `{0}`, `{1}` filled in. */
export function t(key, ...values) {
  return TEXTS[key][language].replace(/\{(\d)\}/g, (_, number) => values[number])
}

/** A product's price: CNY 59.00, of one with dearer variants CNY 59.00 起. */
export function priceText({ price, currency, is_from_price: isFrom }) {
  const text = price ? `${currency ?? ''} ${price}`.trim() : ''
  return text && isFrom ? t('fromPrice', text) : text
}

/** A word of the API in the page's language. */
export function word(name, kind = '') {
  const known = WORDS[kind ? `${kind}:${name}` : name] ?? WORDS[name]
  return known ? known[language] : name
}

/** Writes the page in the chosen language, and lets the button switch it; `onChange` draws what scripts wrote. */
export function followLanguage(onChange) {
  const button = document.querySelector('#language')
  const write = () => {
    document.documentElement.lang = language ? 'en' : 'zh-CN'
    for (const element of document.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t)
    button.textContent = language ? '中文' : 'English'
    button.lang = language ? 'zh-CN' : 'en'
    document.querySelector('live-cart')?.setAttribute('lang', document.documentElement.lang)
    onChange()
  }
  button.addEventListener('click', () => {
    language = language ? 0 : 1
    sessionStorage.setItem(LANGUAGE_KEY, language ? 'en' : 'zh-CN')
    write()
  })
  write()
}
