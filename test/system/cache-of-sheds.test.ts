import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { PruneReport } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { openCowshed } from '../support/cowshed.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const tools = ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools]

describe.runIf(needs({ tools }))('the cache of real sheds', () => {
  test('is evicted but for what runs; a shed that needs it later has it built again, with the same bytes', async () => {
    await using cowshed = await openCowshed()
    const archive = join(cowshed.layout.root, '..', 'mini.tar')
    await writeFile(archive, busyboxArchive('mini:1'))
    await cowshed.ok('image', 'load', archive)
    await cowshed.ok('create', 'web', '--image', 'mini:1')
    const sums = () =>
      execFileSync('sh', ['-c', 'find cache -type f -exec sha256sum {} + | sort -k2'], { cwd: cowshed.layout.root })
    const before = sums().toString()
    const prune = () => cowshed.json<PruneReport>('image', 'prune', '--cache-only', '--force')

    const running = await prune()
    expect([running.items, new Set(running.skipped.map(({ reason }) => reason))]).toEqual([
      [],
      new Set(['used by running shed web']),
    ])
    expect(sums().toString()).toBe(before)
    expect(await cowshed.ok('exec', 'web', '--', 'sh', '-c', 'echo written > /kept; cat /kept')).toBe('written\n')

    await cowshed.ok('stop', 'web')
    expect((await prune()).items.length).toBeGreaterThan(1)
    expect(sums().toString()).toBe('')
    await cowshed.ok('start', 'web')
    expect(sums().toString()).toBe(before)
    expect(await cowshed.ok('exec', 'web', '--', 'cat', '/kept')).toBe('written\n')
  }, 300_000)
})
