// @vitest-environment node
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import vm from 'node:vm'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const LARGEST_GZIPPED_BYTES = 40_000

let folder: string
let script: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'live-cart-'))
  const vite = join(import.meta.dirname, '../node_modules/vite/bin/vite.js')
  const options = ['build', '--mode', 'script', '--outDir', folder, '--logLevel', 'error']
  execFileSync(process.execPath, [vite, ...options], { cwd: join(import.meta.dirname, '..') })
  script = readFileSync(join(folder, 'live-cart.js'), 'utf8')
}, 30_000)

afterAll(() => rmSync(folder, { recursive: true }))

describe('live-cart.js', () => {
  it('is small', () => {
    expect(gzipSync(script).length).toBeLessThanOrEqual(LARGEST_GZIPPED_BYTES)
  })

  it('needs nothing that a strict content security policy forbids', () => {
    expect(script).not.toMatch(/\beval\(|new Function\(|\.innerHTML\b|insertAdjacentHTML|setAttribute\(["'`]style/)
  })

  it('calls nothing that is younger than the browsers of docs/viewer.md', () => {
    // The build fits the syntax to them, not what it calls.
    expect(script).not.toMatch(/\b(canParse|withResolvers|groupBy|isWellFormed|AbortSignal\.any|Array\.fromAsync)\b/)
  })

  it('defines the element and no global', () => {
    const defined: string[] = []
    const customElements = { get: () => undefined, define: (name: string) => defined.push(name) }
    const context = vm.createContext({ customElements, HTMLElement: class {} })
    const before = Object.keys(context)
    vm.runInContext(script, context)
    expect(defined).toEqual(['live-cart'])
    expect(Object.keys(context)).toEqual(before)
  })
})
