import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BootFailure, findBootFailure } from '../../src/formats/index.ts'
import { runTool } from '../../src/host/index.ts'
import { createQemuDriver, type Machine, type MachineSpec } from '../../src/machines/index.ts'
import type { AgentConnection } from '../../src/wires/index.ts'
import { type Material, run, type Workbench, workbench } from '../conformance/workbench.ts'
import { kernelTools, testKernel } from '../support/kernel.ts'
import { type MiniImage, miniImage, miniImageTools } from '../support/mini-image.ts'
import { needs } from '../support/needs.ts'

const qemu = process.arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'

describe.runIf(needs({ tools: [qemu, 'dumpe2fs', ...kernelTools, ...miniImageTools] }))(
  'the agent in a machine',
  () => {
    let directory: string
    let material: Material
    let image: MiniImage

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'cowshed-guest-'))
      image = await miniImage(directory)
      material = { driver: createQemuDriver(), kernel: await testKernel(), image, acceleration: 'tcg' }
    }, 600_000)
    afterAll(() => rm(directory, { recursive: true, force: true }))

    /** A root filesystem of its own for a machine, in place of upper and lower. */
    async function ownRoot(place: Workbench): Promise<Partial<MachineSpec>> {
      const path = join(place.directory, 'rootfs.ext4')
      const from = join(directory, 'mini-root')
      await runTool('mke2fs', ['-q', '-t', 'ext4', '-E', 'root_owner=0:0', '-d', from, path, '64M'])
      return {
        drives: [{ id: 'rootfs', path, readOnly: false }],
        kernelArguments: ['cowshed.hostname=mini', `cowshed.machine_id=${'c0'.repeat(16)}`, 'cowshed.rootfs=ext4'],
      }
    }
    const roots = [
      ['an upper', async () => ({})],
      ['a root filesystem of its own', ownRoot],
    ] as const

    /** One guest through its life: each test goes on where the one before it ended. */
    describe.each(roots)('with %s', (_, disks) => {
      let place: Workbench
      let spec: MachineSpec
      let machine: Machine
      let agent: AgentConnection
      beforeAll(async () => {
        place = await workbench(material)
        ;({ spec, machine, agent } = await place.boot(await disks(place)))
      })
      afterAll(async () => await place[Symbol.asyncDispose]())

      test('freezes it, refuses to write to it, and thaws it when its host is gone', async () => {
        await agent.freeze()
        await expect(agent.writeFile('/root/x', Buffer.from('x'), { mode: 0o644 })).rejects.toMatchObject({
          code: 'GUEST_FAILED',
          data: { errno: 'EBUSY' },
        })
        await expect(agent.freeze()).rejects.toMatchObject({ data: { errno: 'EBUSY' } })
        // A program that writes waits; one that reads does not.
        const writer = await agent.exec({
          argv: ['sh', '-c', 'echo thawed > /root/x'],
          env: { PATH: '/bin' },
          stdin: false,
        })
        expect((await run(agent, 'cat', '/www/index.html')).stdout).toBe('hello from the guest\n')
        await agent.thaw()
        expect(await writer.exit).toEqual({ code: 0 })

        await agent.freeze({ longestMs: 10 })
        // It waits until the guest has thawed by itself.
        expect(await run(agent, 'sh', '-c', 'echo by itself > /root/x')).toMatchObject({ code: 0 })
        await expect(agent.thaw()).rejects.toMatchObject({ code: 'GUEST_FAILED' })

        await agent.freeze()
        agent.close()
        agent = await place.connect(machine.record)
        expect(await run(agent, 'sh', '-c', 'cat /root/x; echo again > /root/x; cat /root/x')).toMatchObject({
          stdout: 'by itself\nagain\n',
        })
      })

      test('sets the clock and who the machine is', async () => {
        await agent.setClock(2_000_000_000_000_000_000n)
        expect(Number((await run(agent, 'date', '+%s')).stdout)).toBeGreaterThanOrEqual(2_000_000_000)
        expect(Number((await run(agent, 'date', '+%s')).stdout)).toBeLessThan(2_000_000_600)

        const machineId = 'fe'.repeat(16)
        await agent.setIdentity({ hostname: 'other', machineId, entropy: randomBytes(64) })
        const { stdout } = await run(agent, 'sh', '-c', 'hostname; cat /etc/hostname /etc/machine-id')
        expect(stdout).toBe(`other\nother\n${machineId}\n`)
        // A shorter name in the same file; and what is no ordinary file is replaced, not written through.
        await run(agent, 'sh', '-c', 'cp /etc/machine-id /root/kept; ln -sf /root/kept /etc/machine-id')
        await agent.setIdentity({ hostname: 'o', machineId: 'ab'.repeat(16), entropy: randomBytes(64) })
        const again = await run(agent, 'cat', '/etc/hostname', '/etc/machine-id', '/root/kept')
        expect(again.stdout).toBe(`o\n${'ab'.repeat(16)}\n${machineId}\n`)
      })

      test('gives its freed blocks back to the host, and leaves it clean', async () => {
        const upper = spec.drives[0]?.path ?? ''
        const allocated = async () => (await stat(upper)).blocks * 512
        await run(agent, 'dd', 'if=/dev/urandom', 'of=/root/large', 'bs=1M', 'count=16')
        await agent.sync()
        const full = await allocated()
        await agent.remove('/root/large')
        await agent.sync()
        expect((await agent.trim()).trimmedBytes).toBeGreaterThan(16 << 20)
        expect(full - (await allocated())).toBeGreaterThan(15 << 20)

        await agent.poweroff()
        expect((await machine.exited).kind).toBe('powerdown')
        const { stdout } = await runTool('dumpe2fs', ['-h', upper])
        expect(stdout.toString()).toContain('has_journal')
        expect(stdout.toString()).not.toContain('needs_recovery')
      })
    })

    test("shuts down an image's own init, or without it when it does not listen", async () => {
      await using place = await workbench(material)
      const start = async (init: string) => {
        const lower = await lowerWithInit(directory, init)
        const drives = [
          { id: 'upper', path: await image.upper(join(place.directory, init)), readOnly: false },
          { id: 'lower', path: lower, readOnly: true },
        ]
        return await place.boot({ drives })
      }
      const polite = await start('polite')
      const [one, self] = (await run(polite.agent, 'sh', '-c', 'cat /proc/1/comm; cat /proc/$PPID/comm')).stdout.split(
        '\n',
      )
      expect([one, self]).toEqual(['init', 'cowshed-agent'])
      await polite.agent.poweroff()
      expect((await polite.machine.exited).kind).toBe('powerdown')
      expect(await readFile(polite.spec.consolePath, 'utf8')).toContain('init says goodbye')

      const sysv = await start('sysvinit')
      const listening = 'until [ -e /run/listening ]; do sleep 0.1; done; echo $PPID'
      const agentPid = (await run(sysv.agent, 'sh', '-c', listening)).stdout.trim()
      await sysv.agent.poweroff()
      expect((await sysv.machine.exited).kind).toBe('powerdown')
      expect(await readFile(sysv.spec.consolePath, 'utf8')).toContain(`runlevel 0, sparing ${agentPid}`)

      const deaf = await start('deaf')
      await deaf.agent.poweroff({ graceMs: 300 })
      expect((await deaf.machine.exited).kind).toBe('powerdown')
    })

    test.each<[string, (place: Workbench) => Promise<readonly DriveChange[]>, BootFailure['number'], string]>([
      ['no lower', async () => [{ id: 'lower', newId: 'other' }], 2, "no drive with the serial 'lower'"],
      ['a lower that is no erofs', zeros('lower'), 3, 'cannot mount the lower (erofs): Invalid argument'],
      ['an upper that is no ext4', zeros('upper'), 5, 'the upper is not ext4'],
    ])('a boot with %s says so by its number, and ends', async (_, change, number, text) => {
      await using place = await workbench(material)
      const spec = await place.spec()
      const changes = new Map((await change(place)).map((each) => [each.id, each]))
      const drives = spec.drives.map((drive) => {
        const { newId, path } = changes.get(drive.id) ?? {}
        return { ...drive, id: newId ?? drive.id, path: path ?? drive.path }
      })
      const machine = await place.start({ ...spec, drives })
      expect((await machine.exited).kind).toBe('powerdown')
      expect(findBootFailure(await readFile(spec.consolePath, 'latin1'))).toEqual({ number, text })
    })
  },
)

interface DriveChange {
  readonly id: string
  readonly newId?: string
  readonly path?: string
}

function zeros(id: string) {
  return async (place: Workbench): Promise<readonly DriveChange[]> => {
    const path = join(place.directory, `zeros-${id}`)
    await writeFile(path, Buffer.alloc(1 << 20))
    return [{ id, path }]
  }
}

const deafInit = '#!/bin/sh\ntrap "" USR2 TERM\nwhile :; do sleep 1; done\n'

/** Listens as sysvinit does, and takes what a shutdown of Debian's goes by: the runlevel, and whom it must not kill. */
const sysvInit = `#!/bin/sh
mkfifo /run/initctl
exec 3<>/run/initctl
touch /run/listening
level=$(head -c 384 <&3 | tail -c +9 | head -c 1)
echo "runlevel $level, sparing $(cat /run/sendsigs.omit.d/*)" > /dev/console
poweroff -f
`

const initScripts: Readonly<Record<string, string>> = { deaf: deafInit, sysvinit: sysvInit }

/** The mini image with an init: busybox's own, or a script. */
async function lowerWithInit(directory: string, kind: string): Promise<string> {
  const root = join(directory, 'mini-root')
  const init = join(root, 'sbin/init')
  await mkdir(join(root, 'sbin'), { recursive: true })
  await rm(init, { force: true })
  await writeFile(join(root, 'etc/inittab'), '::shutdown:/bin/echo init says goodbye\n')
  const script = initScripts[kind]
  if (script !== undefined) await writeFile(init, script, { mode: 0o755 })
  else await symlink('../bin/busybox', init)
  const lower = join(directory, `${kind}.erofs`)
  await runTool('mkfs.erofs', ['-T0', lower, root])
  return lower
}
