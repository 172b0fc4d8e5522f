/** The attributes of `<live-cart>` as properties, which is how frameworks set them. */

type Value = string | null | undefined

/** Null or undefined takes the attribute away; an attribute that is missing reads as an empty text. */
export class ReflectingElement extends HTMLElement {
  /** The hub's address, such as `wss://live.example.com`, or `/` for the page's own host. */
  get src(): string {
    return this.read('src')
  }

  set src(value: Value) {
    this.write('src', value)
  }

  get room(): string {
    return this.read('room')
  }

  set room(value: Value) {
    this.write('room', value)
  }

  /** What lets this viewer into the room, where the hub asks for it. */
  get ticket(): string {
    return this.read('ticket')
  }

  set ticket(value: Value) {
    this.write('ticket', value)
  }

  /** `websocket`, the default, or `eventsource`. */
  get transport(): string {
    return this.read('transport')
  }

  set transport(value: Value) {
    this.write('transport', value)
  }

  /** CSS selector of what no card may cover. */
  get reserved(): string {
    return this.read('reserved')
  }

  set reserved(value: Value) {
    this.write('reserved', value)
  }

  /** What is written beside the reason; set and empty for nothing. */
  get disclosure(): string {
    return this.read('disclosure')
  }

  set disclosure(value: Value) {
    this.write('disclosure', value)
  }

  /** `auto`, the default, `light` or `dark`. */
  get theme(): string {
    return this.read('theme')
  }

  set theme(value: Value) {
    this.write('theme', value)
  }

  /** Properties that were set before the element was defined lie in the way of the accessors: hands them on. */
  protected takeUpProperties(): void {
    const self = this as unknown as Record<string, unknown>
    for (const name of Object.keys(this)) {
      if (!(name in Object.getPrototypeOf(this))) continue
      const value = self[name]
      delete self[name]
      self[name] = value
    }
  }

  private read(name: string): string {
    return this.getAttribute(name) ?? ''
  }

  private write(name: string, value: Value): void {
    if (value == null) this.removeAttribute(name)
    else this.setAttribute(name, value)
  }
}
