// Lists that are drawn twice a second without losing the focus: an element stays as long as its key.

/** An element with class, text and children. */
export function h(name, { className = '', text, ...rest } = {}, ...children) {
  const element = Object.assign(document.createElement(name), rest)
  if (className) element.className = className
  if (text !== undefined) element.textContent = text
  element.append(...children)
  return element
}

/** Sets a text where it differs: a text that is set anew is read out anew. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/**
 * Makes the children of `list` what `items` says, in that order.
 *
 * @param keyOf names an item.
 * @param make makes an item's element.
 * @param update writes the item into its element.
 */
export function drawRows(list, items, keyOf, make, update) {
  const known = new Map([...list.children].map((element) => [element.dataset.key, element]))
  const wanted = items.map((item) => {
    const key = String(keyOf(item))
    const element = known.get(key) ?? make(item)
    known.delete(key)
    element.dataset.key = key
    update(element, item)
    return element
  })
  for (const element of known.values()) {
    // The focus must not fall back to the page's beginning when the row of a button that was pressed goes.
    if (element.contains(document.activeElement)) {
      list.tabIndex = -1
      list.focus({ preventScroll: true })
    }
    element.remove()
  }
  wanted.forEach((element, index) => {
    // Moving an element takes its focus away: only what is not in its place is moved.
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null)
  })
}

/** Figures as a list of terms: `[[key, term, value, note]]`. */
export function drawFigures(list, figures) {
  drawRows(
    list,
    figures,
    ([key]) => key,
    () => h('div', {}, h('dt'), h('dd'), h('dd', { className: 'quiet' })),
    (element, [, term, value, note = '']) => {
      const [dt, dd, small] = element.children
      setText(dt, term)
      setText(dd, value)
      setText(small, note)
      small.hidden = !note
    },
  )
}
