import { expect, test } from 'vitest'
import { needs } from '../../../../test/support/needs.ts'
import { runScript } from '../../../../test/support/node-script.ts'
import { cgroupMount, mountIn } from './cgroup-mount.ts'
import { cgroupLimits } from './vm-cgroup.ts'
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
if (mount === undefined) {
  console.warn(
    'SKIPPED: cgroups of version 2 are not mounted here; test/system/guest-cgroups.test.ts has a guest that has them',
  )
}

test.runIf(needs({ root: true }) && mount !== undefined)('cgroups on this host do what VMs need of them', async () => {
  const { stdout, code } = await runScript(new URL('./cgroups.testkit.ts', import.meta.url), [])
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^bounded/)])
})
