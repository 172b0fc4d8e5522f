/** What a viewer decided in a room, kept for the tab's session: products closed or reported, and mute. */

const LARGEST_LIST = 200

interface Kept {
  closed: string[]
  wrong: string[]
  muted: boolean
}

export class ViewerMemory {
  private kept: Kept
  private readonly key: string

  /** @param storage null where there is none, or where the browser forbids it: then it lasts as long as the page. */
  constructor(
    room: string,
    private readonly storage: Storage | null = sessionStorageOrNull(),
  ) {
    this.key = `live-cart:${room}`
    this.kept = this.read()
  }

  get muted(): boolean {
    return this.kept.muted
  }

  set muted(muted: boolean) {
    this.kept.muted = muted
    this.write()
  }

  isClosed(sku: string): boolean {
    return this.kept.closed.includes(sku) || this.isWrong(sku)
  }

  isWrong(sku: string): boolean {
    return this.kept.wrong.includes(sku)
  }

  close(sku: string): void {
    this.kept.closed = withLatest(this.kept.closed, sku)
    this.write()
  }

  reportWrong(sku: string): void {
    this.kept.wrong = withLatest(this.kept.wrong, sku)
    this.write()
  }

  private read(): Kept {
    try {
      const kept = JSON.parse(this.storage?.getItem(this.key) ?? '{}') as Partial<Kept> | null
      return { closed: texts(kept?.closed), wrong: texts(kept?.wrong), muted: kept?.muted === true }
    } catch {
      return { closed: [], wrong: [], muted: false }
    }
  }

  private write(): void {
    try {
      this.storage?.setItem(this.key, JSON.stringify(this.kept))
    } catch {
      // Full, or forbidden meanwhile: the page goes on with what it has in memory.
    }
  }
}

function withLatest(list: string[], sku: string): string[] {
  return [...list.filter((other) => other !== sku), sku].slice(-LARGEST_LIST)
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
}

/** Touching `sessionStorage` throws where cookies are blocked. */
function sessionStorageOrNull(): Storage | null {
  try {
    return globalThis.sessionStorage
  } catch {
    return null
  }
}
