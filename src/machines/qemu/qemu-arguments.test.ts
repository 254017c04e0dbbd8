import { describe, expect, test } from 'vitest'
import type { MachineSpec } from '../driver.ts'
import { parseForwards } from './forwards.ts'
import { hostArchitecture } from './host-architecture.ts'
import { qemuArguments } from './qemu-arguments.ts'
import { identifyState } from './state/identify-state.ts'
import { tscInCpuinfo, tscInKernelLog } from './tsc-arguments.ts'

const spec: MachineSpec = {
  name: 'a,b',
  id: 'id',
  cpus: 2,
  memoryBytes: 512 * 2 ** 20,
  kernel: { id: 'k', release: '6.1', vmlinuz: '/k/vmlinuz', initrd: '/k/initrd' },
  kernelArguments: ['cowshed.net=user'],
  drives: [
    { id: 'upper', path: '/d/u,p.ext4', readOnly: false },
    { id: 'lower', path: '/d/lower.erofs', readOnly: true },
  ],
  network: 'user',
  acceleration: 'tcg',
  consolePath: '/d/con,sole',
  logPath: '/d/log',
  lockPath: '/d/lock',
  runDirectory: '/r',
  agentKey: 'ab'.repeat(16),
}
const given = {
  spec,
  architecture: hostArchitecture('x64'),
  sockets: { qmp: 7, agent: 8 },
  fdSets: [4, 5],
  clockArguments: ['tsc_early_khz=2000000'],
}

describe('the command line', () => {
  test('has the sandbox, the drives in their order, and no comma of a path splits an option', () => {
    const args = qemuArguments(given)
    const all = (option: string) => args.filter((_, index) => args[index - 1] === option)
    expect(all('-sandbox')).toEqual(['on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'])
    expect(all('-blockdev').map((json) => JSON.parse(json) as object)).toMatchObject([
      { 'node-name': 'disk-upper', 'read-only': false, file: { filename: '/d/u,p.ext4', locking: 'on' } },
      { 'node-name': 'disk-lower', 'read-only': true, file: { filename: '/d/lower.erofs', locking: 'on' } },
    ])
    expect(all('-device').filter((device) => device.startsWith('virtio-blk'))).toEqual([
      'virtio-blk-device,drive=disk-upper,serial=upper,werror=report,rerror=report',
      'virtio-blk-device,drive=disk-lower,serial=lower,werror=report,rerror=report',
    ])
    const drives = [{ id: 'lower', path: '/proc/self/fd/9/nbd', readOnly: true, kind: 'nbd' as const }]
    const lazy = qemuArguments({ ...given, spec: { ...spec, drives } })
    expect(JSON.parse(lazy[lazy.indexOf('-blockdev') + 1] ?? '')).toMatchObject({
      'read-only': true,
      file: { driver: 'nbd', server: { type: 'unix', path: '/proc/self/fd/9/nbd' }, 'reconnect-delay': 30 },
    })
    expect(all('-add-fd')).toEqual(['fd=4,set=4', 'fd=5,set=5'])
    expect(all('-chardev')[1]).toBe('file,id=console,path=/d/con,,sole,append=on')
    expect(all('-name')).toEqual(['guest=a,,b'])
    expect(all('-m')).toEqual(['size=524288k'])
    expect(all('-append')[0]?.split(' ')).toEqual(
      expect.arrayContaining([
        'console=ttyS0',
        'tsc_early_khz=2000000',
        `cowshed.key=${'ab'.repeat(16)}`,
        'cowshed.net=user',
      ]),
    )
  })

  test('has its drives behind one throttle when something is limited', () => {
    const args = qemuArguments({
      ...given,
      spec: { ...spec, io: { readBytesPerSecond: 5e6, operationsPerSecond: 200 } },
    })
    const all = (option: string) => args.filter((_, index) => args[index - 1] === option)
    expect(JSON.parse(all('-object')[0] ?? '')).toEqual({
      'qom-type': 'throttle-group',
      id: 'io',
      limits: { 'bps-read': 5e6, 'iops-total': 200 },
    })
    expect(all('-blockdev').map((json) => JSON.parse(json) as object)).toMatchObject([
      { 'node-name': 'disk-upper', driver: 'throttle', 'throttle-group': 'io', 'read-only': false, discard: 'unmap' },
      {
        'node-name': 'disk-lower',
        driver: 'throttle',
        'throttle-group': 'io',
        'read-only': true,
        file: { driver: 'raw' },
      },
    ])
  })

  test('has its RAM in a file, and waits to be told what to go on from', () => {
    const memory = { path: '/m,em', mapping: 'private' } as const
    const belongsTo = identifyState(spec, '7.2')
    const args = qemuArguments({ ...given, spec: { ...spec, memory, restore: { state: '/s', belongsTo } } })
    expect(args[args.indexOf('-machine') + 1]).toMatch(/,memory-backend=ram$/)
    expect(JSON.parse(args[args.indexOf('-object') + 1] ?? '')).toEqual({
      'qom-type': 'memory-backend-file',
      id: 'ram',
      size: 512 * 2 ** 20,
      'mem-path': '/m,em',
      share: false,
    })
    expect(args.join(' ')).toContain('-S -incoming defer')
    expect(qemuArguments(given).join(' ')).not.toMatch(/memory-backend|incoming/)
    // Nothing that only this host knows.
    expect(JSON.stringify(belongsTo)).not.toMatch(/\/d\/|\/k\/|lock/)
  })

  test('without a network has no network device', () => {
    expect(qemuArguments(given).join(' ')).toContain('virtio-net-device')
    expect(qemuArguments({ ...given, spec: { ...spec, network: 'none' } }).join(' ')).not.toMatch(/net0|virtio-net/)
  })

  test('a kernel argument cannot become two', () => {
    for (const argument of ['a b', 'a\nb', '', 'ä']) {
      expect(() => qemuArguments({ ...given, spec: { ...spec, kernelArguments: [argument] } })).toThrow(
        expect.objectContaining({ code: 'INVALID_REQUEST' }),
      )
    }
  })

  test('an unknown processor is refused', () => {
    expect(() => hostArchitecture('mips')).toThrow(expect.objectContaining({ code: 'HOST_UNSUPPORTED' }))
  })
})

test('forwards are read from what the monitor prints', () => {
  const text = `Hub -1 (net0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   15       10.0.2.15 45678     1.1.1.1    443     0     0
  TCP[HOST_FORWARD]  12       127.0.0.1 40123       10.0.2.15    80     0     0\r
  TCP[HOST_FORWARD]  13       127.0.0.1  2222       10.0.2.15    22     0     0\r
  UDP[236 sec]       14       10.0.2.15 51234     10.0.2.3    53     0     0
`
  expect(parseForwards(text)).toEqual([
    { guestPort: 80, hostPort: 40123 },
    { guestPort: 22, hostPort: 2222 },
  ])
  expect(parseForwards('')).toEqual([])
})

describe('the frequency of the time stamp counter', () => {
  test('is the most exact that the kernel logged', () => {
    expect(tscInKernelLog('tsc: Detected 2600.000 MHz processor\n')).toBe(2_600_000)
    expect(tscInKernelLog('tsc: Detected 2600.000 MHz processor\ntsc: Detected 2592.000 MHz TSC\n')).toBe(2_592_000)
    expect(
      tscInKernelLog('tsc: Detected 2600.000 MHz processor\ntsc: Refined TSC clocksource calibration: 2596.140 MHz\n'),
    ).toBe(2_596_140)
    expect(tscInKernelLog('tsc: Unable to calibrate against PIT')).toBeUndefined()
  })

  test('is taken from cpuinfo only where that is the counter, not the speed of the moment', () => {
    const cpuinfo = (flags: string, mhz = '2596.140') =>
      `processor\t: 0\ncpu MHz\t\t: ${mhz}\nflags\t\t: fpu ${flags}\n`
    expect(tscInCpuinfo(cpuinfo('constant_tsc'))).toBe(2_596_140)
    expect(tscInCpuinfo(cpuinfo('constant_tsc aperfmperf'))).toBeUndefined()
    expect(tscInCpuinfo(cpuinfo(''))).toBeUndefined()
    expect(tscInCpuinfo(cpuinfo('constant_tsc', '0.000'))).toBeUndefined()
    expect(tscInCpuinfo('')).toBeUndefined()
  })
})
