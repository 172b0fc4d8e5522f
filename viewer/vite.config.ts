import { defineConfig } from 'vitest/config'

/** `vite build` makes the ES module with its exports, `vite build --mode script` the file for one script tag. */
export default defineConfig(({ mode }) => ({
  build: {
    target: ['chrome111', 'safari16.4', 'firefox114'],
    minify: true,
    emptyOutDir: false,
    sourcemap: false,
    lib:
      mode === 'script'
        ? { entry: 'src/register.ts', formats: ['iife'], name: 'liveCart', fileName: () => 'live-cart.js' }
        : { entry: 'src/index.ts', formats: ['es'], fileName: () => 'live-cart.mjs' },
  },
  // Time enough for thousands of drawn scenes on a machine that is busy with other work.
  test: { environment: 'happy-dom', include: ['test/**/*.test.ts'], testTimeout: 60_000 },
}))
