/** Counts down the time that a card has in front, except while something holds it; how long: element-options.ts. */

export type Hold = 'hover' | 'focus' | 'touch' | 'menu' | 'tray' | 'page-hidden'

export class DismissTimer {
  private remainingMs = 0
  private resumedAtMs: number | null = null
  private timer: ReturnType<typeof setTimeout> | undefined
  private readonly holds = new Set<Hold>()

  constructor(
    private readonly onEnd: () => void,
    private readonly now: () => number = () => performance.now(),
  ) {}

  get held(): boolean {
    return this.holds.size > 0
  }

  start(durationMs: number): void {
    this.stop()
    this.remainingMs = durationMs
    this.resumedAtMs = this.now()
    if (this.held) this.suspend()
    else this.arm()
  }

  stop(): void {
    clearTimeout(this.timer)
    this.resumedAtMs = null
  }

  /** Sets or lifts one reason to wait; the time goes on when none is left. */
  hold(reason: Hold, on: boolean): void {
    const before = this.held
    if (on) this.holds.add(reason)
    else this.holds.delete(reason)
    if (this.resumedAtMs === null || before === this.held) return
    if (this.held) this.suspend()
    else this.arm()
  }

  private suspend(): void {
    clearTimeout(this.timer)
    this.remainingMs -= this.now() - (this.resumedAtMs ?? this.now())
  }

  private arm(): void {
    this.resumedAtMs = this.now()
    this.timer = setTimeout(() => {
      this.resumedAtMs = null
      this.onEnd()
    }, this.remainingMs)
  }
}
