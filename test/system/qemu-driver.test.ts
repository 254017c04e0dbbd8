import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createQemuDriver } from '../../src/machines/index.ts'
import { describeDriver } from '../conformance/driver.ts'
import { workbench } from '../conformance/workbench.ts'
import { kernelTools, testKernel } from '../support/kernel.ts'
import { miniImage, miniImageTools } from '../support/mini-image.ts'
import { needs } from '../support/needs.ts'

const qemu = process.arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'

// Emulation runs everywhere; whether this host has more to offer is what probeAcceleration finds out.
describeDriver('qemu', {
  module: new URL('../../src/machines/index.ts', import.meta.url),
  make: 'createQemuDriver',
  acceleration: 'tcg',
  tools: [qemu],
})

describe.runIf(needs({ tools: [qemu, ...kernelTools, ...miniImageTools] }))('a QEMU process', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cowshed-qemu-'))
    await testKernel()
  }, 600_000)
  afterAll(() => rm(directory, { recursive: true, force: true }))

  test('is confined, and keeps what the guest prints to its owner', async () => {
    await using place = await workbench({
      driver: createQemuDriver(),
      kernel: await testKernel(),
      image: await miniImage(directory),
      acceleration: 'tcg',
    })
    const spec = await place.spec({ network: 'user' })
    const machine = await place.start(spec)
    const status = await readFile(`/proc/${machine.record.pid}/status`, 'utf8')
    // 2: system calls go through a filter.
    expect(/^Seccomp:\s+(\d)$/m.exec(status)?.[1]).toBe('2')
    for (const path of [spec.consolePath, spec.logPath, spec.lockPath]) expect((await stat(path)).mode & 0o077).toBe(0)
  })
})
