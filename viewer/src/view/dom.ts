/** Makes elements. Text is always text: nothing here reads HTML. */

type Attributes = Readonly<Record<string, string | boolean | null>>
type Child = Node | string | null

/** An attribute that is true is set empty; false and null leave it out. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(key, value === true ? '' : value)
  }
  element.append(...children.filter((child) => child !== null))
  return element
}

const SVG = 'http://www.w3.org/2000/svg'

/** Drawn in a square of 24 with strokes of the text's colour. */
const ICONS = {
  close: ['M6 6l12 12', 'M18 6L6 18'],
  more: ['M6 12h.01', 'M12 12h.01', 'M18 12h.01'],
  back: ['M15 5l-7 7 7 7'],
  bag: ['M5 8h14l-1 12H6L5 8z', 'M9 8V7a3 3 0 0 1 6 0v1'],
  seen: ['M4 8V4h4', 'M16 4h4v4', 'M20 16v4h-4', 'M8 20H4v-4', 'M12 12h.01'],
  wrong: ['M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18z', 'M5.6 5.6l12.8 12.8'],
  mute: ['M6 16V11a6 6 0 0 1 9.5-4.9', 'M18 11v5l1.500 2H8', 'M10.500 20.500h3', 'M4 4l16 16'],
  bell: ['M6 17v-6a6 6 0 0 1 12 0v6l1.500 1.500h-15z', 'M10.500 21h3'],
} as const

export type IconName = keyof typeof ICONS

export function icon(name: IconName): SVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  for (const [key, value] of [
    ['viewBox', '0 0 24 24'],
    ['class', `icon icon-${name}`],
    ['aria-hidden', 'true'],
  ] as const) {
    svg.setAttribute(key, value)
  }
  for (const line of ICONS[name]) {
    const path = document.createElementNS(SVG, 'path')
    path.setAttribute('d', line)
    svg.append(path)
  }
  return svg
}

/** A button that shows an icon and says its label to those who do not see it. */
export function iconButton(name: IconName, label: string, className: string, onClick: () => void): HTMLButtonElement {
  const button = h('button', { type: 'button', class: className, 'aria-label': label, title: label }, icon(name))
  button.addEventListener('click', onClick)
  return button
}
