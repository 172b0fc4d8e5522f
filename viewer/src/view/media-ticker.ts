/** Says which frame is on the screen, each time another one is. */

/** Without frames (paused, a hidden tab, an old browser) still as often as this. */
const EVERY_MS = 200

export class MediaTicker {
  private video: HTMLVideoElement | null = null
  private handle = 0
  private readonly interval: ReturnType<typeof setInterval>

  /** @param onFrame is given the media time of the frame, seconds on the line of `currentTime`; 0 without a video. */
  constructor(private readonly onFrame: (mediaTimeS: number) => void) {
    this.interval = setInterval(() => onFrame(this.video?.currentTime ?? 0), EVERY_MS)
  }

  attach(video: HTMLVideoElement | null): void {
    this.stopFrames()
    this.video = video
    this.requestFrame()
  }

  dispose(): void {
    this.stopFrames()
    clearInterval(this.interval)
  }

  private requestFrame(): void {
    if (!this.video?.requestVideoFrameCallback) return
    this.handle = this.video.requestVideoFrameCallback((_now, { mediaTime }) => {
      this.onFrame(mediaTime)
      this.requestFrame()
    })
  }

  private stopFrames(): void {
    this.video?.cancelVideoFrameCallback?.(this.handle)
  }
}
