import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { needs } from '../../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../../test/support/temporary-directory.ts'
import { killProcess, spawnDetached } from '../../../host/index.ts'
import { cgroupMount, mountIn } from './cgroup-mount.ts'
import { confinedCommand } from './confined-command.ts'
import { boundControllers, cgroupLimits, makeVmCgroup, removeVmCgroup, sweepVmCgroups } from './vm-cgroup.ts'
import { userIn } from './vm-user.ts'

const sized = {
  id: 'abc',
  runDirectory: '/run/cowshed/test-sweep',
  cpus: 2,
  memoryBytes: 2 ** 30,
  acceleration: 'tcg',
} as const

test('a machine has its memory and what QEMU needs besides, its CPUs and a half, and threads for its disks', () => {
  expect(cgroupLimits(sized)).toEqual({
    'memory.max': `${2 ** 30 + 2 ** 29}`,
    'memory.oom.group': '1',
    'cpu.max': '250000 100000',
    'pids.max': '130',
  })
  expect(cgroupLimits({ ...sized, acceleration: 'kvm' })['memory.max']).toBe(`${2 ** 30 + 2 ** 28}`)
})

test('the hierarchy of version 2 is found beside those of version 1, and the user among others', () => {
  const v1 = '31 25 0:26 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory'
  const v2 = '35 25 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw'
  expect([mountIn(`${v1}\n${v2}\n`), mountIn(`${v1}\n`), mountIn('')]).toEqual([
    '/sys/fs/cgroup/unified',
    undefined,
    undefined,
  ])
  const root = 'root:x:0:0:root:/root:/bin/bash\n'
  expect(userIn(`${root}cowshed-vm:x:999:995::/nonexistent:/usr/sbin/nologin\n`)).toEqual({ uid: 999, gid: 995 })
  // Root by another name is not what is wanted.
  expect([userIn(root), userIn('cowshed-vm:x:0:0::/:/bin/sh\n'), userIn('cowshed-vm:x:a:b::/:/bin/sh\n')]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

const mount = cgroupMount()
if (mount === undefined) console.warn('SKIPPED: a test needs cgroups of version 2, which are not mounted here')

describe.runIf(needs({ root: true }) && mount !== undefined)('cgroups on this host', () => {
  test('a program is in its cgroup with its first step; a sweep takes those alone that nobody is in', async () => {
    await using dir = await temporaryDirectory()
    const [full, empty] = [await makeVmCgroup(sized), await makeVmCgroup({ ...sized, id: 'empty' })]
    expect([full, empty]).toEqual(['abc', 'empty'].map((id) => join(mount ?? '', 'cowshed/test-sweep', id)))
    const files = await readdir(full ?? '')
    const expected = Object.entries(cgroupLimits(sized)).filter(([name]) => files.includes(name))
    for (const [name, value] of expected) expect((await readFile(join(full ?? '', name), 'utf8')).trim()).toBe(value)
    expect(await boundControllers()).toEqual(['memory', 'cpu', 'pids'].filter((name) => files.includes(`${name}.max`)))

    const inside = confinedCommand({ command: 'sleep', args: ['300'], acceleration: 'tcg', cgroup: full })
    const child = await spawnDetached({ ...inside, logPath: join(dir.path, 'log'), inherit: [] })
    try {
      const procs = async () => (await readFile(join(full ?? '', 'cgroup.procs'), 'utf8')).trim()
      while ((await procs()) === '') await new Promise((resolve) => setTimeout(resolve, 5))
      expect(await procs()).toBe(`${child.pid}`)
      await sweepVmCgroups(sized.runDirectory)
      await access(full ?? '')
      await expect(access(empty ?? '')).rejects.toMatchObject({ code: 'ENOENT' })
    } finally {
      killProcess(child, 'SIGKILL')
    }
    await child.exited
    await removeVmCgroup({ id: 'abc', controlSocket: join(sized.runDirectory, 'abc.qmp') })
    await expect(access(full ?? '')).rejects.toMatchObject({ code: 'ENOENT' })
    await sweepVmCgroups(sized.runDirectory)
    await expect(access(join(mount ?? '', 'cowshed/test-sweep'))).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
