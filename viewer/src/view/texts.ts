/** Everything that the element says, in its languages. */

export interface Texts {
  readonly locale: string
  readonly reason: string
  readonly onNow: string
  readonly buy: string
  readonly close: string
  readonly more: string
  readonly back: string
  readonly wrong: string
  readonly mute: string
  readonly unmute: string
  readonly disclosure: string
  readonly products: string
  readonly noProducts: string
  readonly openProducts: (count: number) => string
  readonly buyNamed: (name: string) => string
  readonly wrongNamed: (name: string) => string
  readonly fromPrice: (price: string) => string
  readonly usualPrice: string
  readonly saleEnds: (time: string) => string
  readonly stockLeft: (count: number) => string
  readonly limitPerBuyer: (count: number) => string
  readonly announcement: (name: string, price: string) => string
}

const CHINESE: Texts = {
  locale: 'zh-CN',
  reason: '画面中识别',
  onNow: '正在讲解',
  buy: '去购买',
  close: '关闭',
  more: '更多选项',
  back: '返回',
  wrong: '不是这个商品',
  mute: '本场不再弹出',
  unmute: '恢复弹出',
  disclosure: '广告',
  products: '本场商品',
  noProducts: '商品出现后会列在这里',
  openProducts: (count) => `本场商品，共 ${count} 件`,
  buyNamed: (name) => `去购买 ${name}（新窗口打开）`,
  wrongNamed: (name) => `不是这个商品：${name}`,
  fromPrice: (price) => `${price} 起`,
  usualPrice: '原价',
  saleEnds: (time) => `优惠至 ${time}`,
  stockLeft: (count) => `仅剩 ${count} 件`,
  limitPerBuyer: (count) => `每人限购 ${count} 件`,
  announcement: (name, price) => `画面中识别：${[name, price].filter(Boolean).join('，')}`,
}

const ENGLISH: Texts = {
  locale: 'en',
  reason: 'Recognised on screen',
  onNow: 'On now',
  buy: 'View product',
  close: 'Close',
  more: 'More options',
  back: 'Back',
  wrong: 'Not this product',
  mute: 'Mute for this show',
  unmute: 'Show cards again',
  disclosure: 'Ad',
  products: 'In this show',
  noProducts: 'Products are listed here as they appear',
  openProducts: (count) => `In this show: ${count} ${count === 1 ? 'product' : 'products'}`,
  buyNamed: (name) => `View product: ${name} (opens in a new window)`,
  wrongNamed: (name) => `Not this product: ${name}`,
  fromPrice: (price) => `from ${price}`,
  usualPrice: 'usual price',
  saleEnds: (time) => `sale until ${time}`,
  stockLeft: (count) => `${count} left`,
  limitPerBuyer: (count) => `${count} per buyer`,
  announcement: (name, price) => `Recognised on screen: ${[name, price].filter(Boolean).join(', ')}`,
}

/** Chinese, unless the language is a kind of English. */
export function textsFor(language: string): Texts {
  return /^en\b/i.test(language) ? ENGLISH : CHINESE
}
