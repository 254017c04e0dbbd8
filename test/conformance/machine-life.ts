import { readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isLocked, killProcess, processStartTime } from '../../src/host/index.ts'
import type { MachineRecord, MachineSpec } from '../../src/machines/index.ts'
import type { AgentConnection } from '../../src/wires/index.ts'
import type { Suite } from './driver.ts'
import { answerless, type Booted, processesWith, run, type Workbench } from './workbench.ts'

/** How a machine lives, ends, and fails to start. */
export function describeLife(suite: Suite): void {
  describe('a machine', () => {
    test('boots as specified, and ends when the guest shuts down', async () => {
      await using place = await suite.bench()
      const { machine, agent, spec } = await place.boot({ cpus: 2, memoryBytes: 320 * 2 ** 20 })
      expect(await run(agent, 'true')).toEqual({ code: 0, stdout: '', stderr: '' })
      expect(machine.record).toMatchObject({
        driver: suite.material().driver.name,
        id: spec.id,
        agentKey: spec.agentKey,
        acceleration: suite.subject.acceleration,
        driverVersion: (await suite.material().driver.probe()).version,
      })
      expect(processStartTime(machine.record.pid)).toBe(machine.record.pidStartTime)
      expect((await run(agent, 'nproc')).stdout.trim()).toBe('2')
      const memoryKib = Number(/MemTotal:\s+(\d+)/.exec((await run(agent, 'cat', '/proc/meminfo')).stdout)?.[1])
      expect(memoryKib).toBeGreaterThan(256 * 1024)
      expect(memoryKib).toBeLessThan(320 * 1024)

      expect(await isLocked(spec.lockPath)).toBe(true)
      await agent.poweroff()
      expect(await machine.exited).toMatchObject({ kind: 'powerdown' })
      expect(await isLocked(spec.lockPath)).toBe(false)
    })

    test('whose I/O is limited writes no faster, whatever it does, and its drives grow all the same', async () => {
      await using place = await suite.bench()
      const { machine, agent, spec } = await place.boot({ io: { writeBytesPerSecond: 1e6 } })
      const began = performance.now()
      const dd = await run(agent, 'dd', 'if=/dev/urandom', 'of=/root/big', 'bs=1000000', 'count=3', 'conv=fsync')
      expect(dd.code).toBe(0)
      // A tenth of a second may have been saved up. How busy the host is only makes it longer.
      expect(performance.now() - began).toBeGreaterThan(2500)
      const upper = spec.drives[0]?.path ?? ''
      const larger = (await stat(upper)).size + 2 ** 20
      await machine.growDrive('upper', larger)
      expect((await stat(upper)).size).toBe(larger)
      expect(Number((await run(agent, 'cat', '/sys/block/vda/size')).stdout) * 512).toBe(larger)
    })
  })

  /** One guest through its life: each test goes on where the one before it ended. */
  describe('a machine that runs', () => {
    let place: Workbench
    let running: Booted & { readonly spec: MachineSpec }
    beforeAll(async () => {
      place = await suite.bench()
      const spec = await place.spec()
      await writeFile(spec.consolePath, 'an earlier boot\n')
      const machine = await place.start(spec)
      const agent = await place.connect(machine.record)
      await agent.ready
      running = { spec, machine, agent }
    })
    afterAll(async () => await place[Symbol.asyncDispose]())

    test('has its drives in order, and the lower is read-only', async () => {
      const { machine, agent, spec } = running
      const serials = await run(agent, 'sh', '-c', 'cat /sys/block/vda/serial; echo; cat /sys/block/vdb/serial')
      expect(serials.stdout.split('\n').filter((line) => line !== '')).toEqual(['upper', 'lower'])
      expect((await run(agent, 'cat', '/sys/block/vda/ro', '/sys/block/vdb/ro')).stdout).toBe('0\n1\n')
      const before = await readFile(suite.material().image.lower)
      const overwrite = await run(agent, 'dd', 'if=/dev/zero', 'of=/dev/vdb', 'bs=4096', 'count=1', 'conv=fsync')
      expect(overwrite.code).not.toBe(0)
      expect(before.equals(await readFile(suite.material().image.lower))).toBe(true)
      expect((await run(agent, 'sh', '-c', 'echo kept > /root/kept; sync')).code).toBe(0)
      const upper = spec.drives[0]?.path ?? ''
      expect((await readFile(upper)).includes('kept\n')).toBe(true)
      // The guest has it when its kernel has heard of it.
      await machine.growDrive('upper', 2 ** 30)
      const grown = 'while [ $(cat /sys/block/vda/size) != 2097152 ]; do sleep 0.01; done'
      expect((await run(agent, 'sh', '-c', grown)).code).toBe(0)
      expect((await stat(upper)).size).toBe(2 ** 30)
      await expect(machine.growDrive('lower', 2 ** 30)).rejects.toMatchObject({ code: 'QMP_FAILED' })
    })

    test('appends to its console, also after that was truncated in place', async () => {
      const { agent, spec } = running
      const say = (word: string) => run(agent, 'sh', '-c', `echo ${word} > /dev/console`)
      await say('first-word')
      await appears(spec.consolePath, 'first-word')
      expect(await readFile(spec.consolePath, 'latin1')).toMatch(/^an earlier boot\n/)
      await truncate(spec.consolePath, 0)
      await say('second-word')
      await appears(spec.consolePath, 'second-word')
      expect(await readFile(spec.consolePath, 'latin1')).not.toContain('\0')
      expect(await readFile(spec.consolePath, 'latin1')).not.toContain('first-word')
    })

    test('keeps the time of its host, however busy that is', async () => {
      const { agent } = running
      const first = await uptime(agent)
      await sleep(1500)
      const second = await uptime(agent)
      const passed = second.guest - first.guest
      // /proc/uptime counts hundredths.
      expect(passed).toBeGreaterThan(second.asked - first.answered - 25)
      expect(passed).toBeLessThan(second.answered - first.asked + 25)
    })

    test('that pauses does nothing until it resumes', async () => {
      const { machine, agent } = running
      await machine.pause()
      await machine.pause()
      const answer = agent.stat('/')
      expect(await Promise.race([answer, sleep(500, 'nothing')])).toBe('nothing')
      await machine.resume()
      await machine.resume()
      expect(await answer).toBeDefined()
    })

    test('that is killed is dead when kill returns, whoever asks, however often, paused or not', async () => {
      const { machine, spec } = running
      await Promise.all([machine.kill(), machine.kill()])
      expect(await isLocked(spec.lockPath)).toBe(false)
      expect(processesWith(spec.id)).toEqual([])
      await machine.kill()
      expect(await machine.exited).toEqual({ kind: 'killed', reason: 'cowshed killed the VM' })
      // The same disks boot again.
      const again = await place.start(await place.spec({ drives: spec.drives, lockPath: spec.lockPath }))
      const agent = await place.connect(again.record)
      await agent.ready
      await again.pause()
      await again.kill()
      expect(await again.exited).toMatchObject({ kind: 'killed' })
      await answerless(run(agent, 'true'))
    })
  })

  describe('a guest that ends', () => {
    test('by a reboot is reset, which ends its machine', async () => {
      await using place = await suite.bench()
      const { machine, agent } = await place.boot()
      await answerless(run(agent, 'reboot', '-f'))
      expect(await machine.exited).toEqual({ kind: 'reset', reason: 'the guest rebooted' })
    })

    test('by a panic says so', async () => {
      await using place = await suite.bench()
      const { machine, agent, spec } = await place.boot()
      await answerless(run(agent, 'sh', '-c', 'echo c > /proc/sysrq-trigger'))
      expect(await machine.exited).toMatchObject({ kind: 'panic', reason: expect.stringContaining('sysrq') })
      expect(await readFile(spec.consolePath, 'latin1')).toContain('Kernel panic')
    })

    test('by a panic before it has loaded anything says so too', async () => {
      await using place = await suite.bench()
      const initrd = join(place.directory, 'empty-initrd')
      await writeFile(initrd, Buffer.alloc(512))
      const machine = await place.start(await place.spec({ kernel: { ...suite.material().kernel, initrd } }))
      expect(await machine.exited).toMatchObject({ kind: 'panic', reason: expect.stringContaining('root fs') })
    })

    test('by SIGKILL of its VMM was killed', async () => {
      await using place = await suite.bench()
      const { machine, spec } = await place.boot()
      const { pid, pidStartTime } = machine.record
      killProcess({ pid, startTime: pidStartTime }, 'SIGKILL')
      const exit = await machine.exited
      expect(exit.kind).toBe('killed')
      expect(exit.reason).toContain('SIGKILL')
      expect(await isLocked(spec.lockPath)).toBe(false)
    })
  })

  describe('a start that fails', () => {
    test('on a drive that another machine writes to, or to write to one that another reads, leaves the other alone', async () => {
      await using place = await suite.bench()
      const { agent, spec } = await place.boot()
      const [upper, lower] = spec.drives.map(({ path }) => path)
      for (const [path = '', readOnly] of [
        [upper, false],
        [upper, true],
        [lower, false],
      ] as const) {
        const drives = [{ id: 'rival', path, readOnly }]
        await expect(place.start(await place.spec({ drives })), `${path} ${readOnly}`).rejects.toMatchObject({
          code: 'MACHINE_FAILED',
          message: expect.stringMatching(/lock/i),
        })
      }
      const [reads] = spec.drives.filter(({ readOnly }) => readOnly)
      await (await place.start(await place.spec({ drives: reads === undefined ? [] : [reads] }))).kill()
      await expect(place.start(await place.spec({ lockPath: spec.lockPath }))).rejects.toMatchObject({
        code: 'MACHINE_FAILED',
      })
      expect((await run(agent, 'true')).code).toBe(0)
    })

    test('says what is wrong with its kernel or its drives', async () => {
      await using place = await suite.bench()
      const garbage = join(place.directory, 'garbage')
      await writeFile(garbage, 'no kernel at all')
      const withKernel = async (vmlinuz: string) =>
        place.start(await place.spec({ kernel: { ...suite.material().kernel, vmlinuz } }))
      await expect(withKernel(garbage)).rejects.toMatchObject({
        code: expect.stringMatching(/^(MACHINE_FAILED|KERNEL_INVALID)$/),
      })
      await expect(withKernel('/nowhere/vmlinuz')).rejects.toMatchObject({ code: 'KERNEL_INVALID' })
      const drives = [{ id: 'upper', path: '/nowhere/upper', readOnly: false }]
      await expect(place.start(await place.spec({ drives }))).rejects.toMatchObject({
        code: 'MACHINE_FAILED',
        message: expect.stringContaining('/nowhere/upper'),
      })
    })

    test('because its record could not be kept leaves nothing', async () => {
      await using place = await suite.bench()
      const spec = await place.spec()
      const full = new Error('no space left for the record')
      const seen: MachineRecord[] = []
      const attempt = suite.material().driver.start(spec, async (record) => {
        seen.push(record)
        throw full
      })
      await expect(attempt).rejects.toBe(full)
      expect(seen).toMatchObject([{ id: spec.id, agentKey: spec.agentKey }])
      expect(await isLocked(spec.lockPath)).toBe(false)
      expect(processesWith(spec.id)).toEqual([])
    })

    test('on a socket path that is too long is told so', async () => {
      await using place = await suite.bench()
      const runDirectory = join(place.directory, 'x'.repeat(100))
      await expect(place.start(await place.spec({ runDirectory }))).rejects.toMatchObject({ code: 'PATH_TOO_LONG' })
    })
  })
}

/** The guest's clock between two readings of ours, all in milliseconds. */
async function uptime(agent: AgentConnection): Promise<{ asked: number; guest: number; answered: number }> {
  const asked = performance.now()
  const { stdout } = await run(agent, 'cat', '/proc/uptime')
  return { asked, guest: Number(stdout.split(' ')[0]) * 1000, answered: performance.now() }
}

async function appears(path: string, word: string): Promise<void> {
  while (!(await readFile(path, 'latin1')).includes(word)) await sleep(10)
}
