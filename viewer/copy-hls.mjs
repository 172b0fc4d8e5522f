// Puts hls.js beside the element, for pages that serve HLS to browsers that do not play it themselves.
import { copyFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const hls = dirname(createRequire(import.meta.url).resolve('hls.js'))
await copyFile(join(hls, 'hls.light.min.js'), new URL('dist/hls.light.min.js', import.meta.url))
await copyFile(join(hls, '..', 'LICENSE'), new URL('dist/hls.LICENSE.txt', import.meta.url))
