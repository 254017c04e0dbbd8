import { readFileSync } from 'node:fs'
import { access, chmod, copyFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createQemuDriver } from '../../src/machines/index.ts'
import { cgroupMount } from '../../src/machines/qemu/confine/cgroup-mount.ts'
import { describeDriver } from '../conformance/driver.ts'
import { type Workbench, workbench } from '../conformance/workbench.ts'
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

const hasCgroups = process.platform === 'linux' && readFileSync('/proc/self/mountinfo', 'utf8').includes(' - cgroup2 ')

describe.runIf(needs({ root: true, tools: [qemu, ...kernelTools, ...miniImageTools] }))(
  'a QEMU process of root',
  () => {
    let place: Workbench
    let directory: string
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'cowshed-qemu-'))
      const [kernel, image] = [await testKernel(), await miniImage(directory)]
      place = await workbench({ driver: createQemuDriver(), kernel, image, acceleration: 'tcg' })
    }, 600_000)
    afterAll(async () => {
      await place[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    })

    test('is of a user that owns nothing, and in a cgroup that goes with it', async () => {
      const machine = await place.start(await place.spec())
      const { pid, id } = machine.record
      const status = await readFile(`/proc/${pid}/status`, 'utf8')
      const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1]?.trim().split('\t')
      const passwd = await readFile('/etc/passwd', 'utf8')
      const [uid = '', gid = ''] = /^cowshed-vm:x?:(\d+:\d+):/m.exec(passwd)?.[1]?.split(':') ?? []
      expect([field('Uid'), field('Gid'), field('Groups'), field('NoNewPrivs')]).toEqual([
        [uid, uid, uid, uid],
        [gid, gid, gid, gid],
        [''],
        ['1'],
      ])
      // CAP_NET_BIND_SERVICE alone, for forwards from ports below 1024.
      for (const set of ['CapEff', 'CapBnd', 'CapAmb']) expect(field(set)).toEqual(['0000000000000400'])

      if (!hasCgroups) return
      const cgroup = /^0::(\/.*)$/m.exec(await readFile(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? ''
      expect(cgroup).toMatch(new RegExp(`/cowshed/run/${id}$`))
      await machine.kill()
      const mount = cgroupMount() ?? ''
      await expect(access(join(mount, cgroup))).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(access(join(mount, 'cowshed/run'))).resolves.toBeUndefined()
    })
  },
)

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
    const given = await place.spec({ network: 'user' })
    // As a daemon with a strict umask, or an earlier version, has set it up: for its owner alone.
    const initrd = join(directory, 'initrd')
    await copyFile(given.kernel.initrd, initrd)
    await chmod(initrd, 0o600)
    const spec = { ...given, kernel: { ...given.kernel, initrd } }
    const machine = await place.start(spec)
    const status = await readFile(`/proc/${machine.record.pid}/status`, 'utf8')
    // 2: system calls go through a filter.
    expect(/^Seccomp:\s+(\d)$/m.exec(status)?.[1]).toBe('2')
    const words = (await readFile(`/proc/${machine.record.pid}/cmdline`, 'latin1')).split('\0')
    expect(words[0]).toBe(qemu)
    // It can open nothing of ours: what it has, it was given.
    expect(words.filter((word) => word.includes(place.directory))).toEqual([])
    for (const path of [spec.consolePath, spec.logPath, spec.lockPath]) expect((await stat(path)).mode & 0o077).toBe(0)
  })
})
