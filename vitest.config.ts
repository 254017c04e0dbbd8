import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: ['test/support/set-up.ts'],
    pool: 'threads',
    isolate: false,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    // Nothing is proved by how long a test takes; a machine at work may take its time.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    reporters: process.env.CI ? ['default'] : ['dot'],
  },
})
