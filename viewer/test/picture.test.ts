import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ObjectFit, onScreen, pictureRect, visiblePicture } from '../src/placement/picture'

const WIDE = { x: 0, y: 0, width: 1600, height: 900 }
const PORTRAIT = { width: 720, height: 1280 }

describe('pictureRect', () => {
  it('puts bars beside a portrait picture that is contained', () => {
    expect(pictureRect(WIDE, PORTRAIT, 'contain', '50% 50%')).toEqual({ x: 546.875, y: 0, width: 506.25, height: 900 })
  })

  it('lets a covering picture reach beyond', () => {
    const picture = pictureRect(WIDE, PORTRAIT, 'cover', '50% 50%')
    expect(picture.width).toBe(1600)
    expect(picture.y).toBeCloseTo((900 - picture.height) / 2)
    expect(visiblePicture(WIDE, picture)).toEqual(WIDE)
  })

  it.each([
    ['0% 0%', 0],
    ['100% 50%', 1600 - 506.25],
    ['20px 0px', 20],
    ['calc(100% - 10px) 50%', 1600 - 506.25 - 10],
  ])('reads object-position %s', (position, x) => {
    expect(pictureRect(WIDE, PORTRAIT, 'contain', position).x).toBeCloseTo(x)
  })

  it('knows fill, none and scale-down', () => {
    expect(pictureRect(WIDE, PORTRAIT, 'fill', '50% 50%')).toEqual(WIDE)
    expect(pictureRect(WIDE, PORTRAIT, 'none', '50% 50%')).toMatchObject({ width: 720, height: 1280, y: -190 })
    expect(pictureRect(WIDE, { width: 100, height: 50 }, 'scale-down', '50% 50%')).toMatchObject({ width: 100, x: 750 })
  })

  it('keeps the shape, except where it fills', () => {
    const side = fc.integer({ min: 1, max: 4000 })
    const fits = fc.constantFrom<ObjectFit>('contain', 'cover', 'none', 'scale-down')
    fc.assert(
      fc.property(side, side, side, side, fits, (width, height, naturalWidth, naturalHeight, fit) => {
        const picture = pictureRect(
          { x: 0, y: 0, width, height },
          { width: naturalWidth, height: naturalHeight },
          fit,
          '50% 50%',
        )
        expect(picture.width / picture.height).toBeCloseTo(naturalWidth / naturalHeight, 6)
        if (fit === 'contain') expect(picture.width <= width + 1e-6 && picture.height <= height + 1e-6).toBe(true)
        if (fit === 'cover') expect(picture.width >= width - 1e-6 && picture.height >= height - 1e-6).toBe(true)
      }),
    )
  })

  it('is the element while the video does not know its size', () => {
    expect(pictureRect(WIDE, { width: 0, height: 0 }, 'contain', '50% 50%')).toEqual(WIDE)
  })
})

describe('onScreen', () => {
  it('scales from the picture that was judged to the one that is drawn', () => {
    const picture = { x: 100, y: 0, width: 360, height: 640 }
    expect(onScreen([72, 128, 360, 640], { width: 720, height: 1280 }, picture)).toEqual({
      x: 136,
      y: 64,
      width: 144,
      height: 256,
    })
  })
})
