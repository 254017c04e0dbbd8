import { once } from 'node:events'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isLocked, killProcess, processStartTime } from '../../src/host/index.ts'
import type { Driver, Machine, MachineRecord, MachineSpec } from '../../src/machines/index.ts'
import type { AgentConnection } from '../../src/wires/index.ts'
import { kernelTools, testKernel } from '../support/kernel.ts'
import { miniImage, miniImageTools } from '../support/mini-image.ts'
import { needs } from '../support/needs.ts'
import { firstLine, killScript, startScript } from '../support/node-script.ts'
import { type Material, processesWith, run, type Workbench, workbench } from './workbench.ts'

export interface DriverUnderTest {
  /** The module and the export that make the driver: a process of its own makes one too. */
  readonly module: URL
  readonly make: string
  readonly acceleration: MachineSpec['acceleration']
  /** The programs that the driver needs. */
  readonly tools: readonly string[]
}

/** The suite that every driver must pass. It boots real machines; a driver is done when it passes. */
export function describeDriver(name: string, subject: DriverUnderTest): void {
  describe.runIf(needs({ tools: [...subject.tools, ...kernelTools, ...miniImageTools] }))(`driver ${name}`, () => {
    let material: Material
    let directory: string
    const bench = () => workbench(material)

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'cowshed-conformance-'))
      const makeDriver = ((await import(subject.module.href)) as Record<string, () => Driver>)[subject.make]
      if (makeDriver === undefined) throw new Error(`${subject.module.href} has no ${subject.make}`)
      material = {
        driver: makeDriver(),
        kernel: await testKernel(),
        image: await miniImage(directory),
        acceleration: subject.acceleration,
      }
      // The kernel of a first run is downloaded.
    }, 600_000)
    afterAll(() => rm(directory, { recursive: true, force: true }))

    describe('a machine', () => {
      test('boots as specified, and ends when the guest shuts down', async () => {
        await using place = await bench()
        const { machine, agent, spec } = await place.boot({ cpus: 2, memoryBytes: 320 * 2 ** 20 })
        expect(await run(agent, 'true')).toEqual({ code: 0, stdout: '', stderr: '' })
        expect(machine.record).toMatchObject({
          driver: material.driver.name,
          id: spec.id,
          agentKey: spec.agentKey,
          acceleration: subject.acceleration,
          driverVersion: (await material.driver.probe()).version,
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

      test('has its drives in order, and the lower is read-only', async () => {
        await using place = await bench()
        const { agent, spec } = await place.boot()
        const serials = await run(agent, 'sh', '-c', 'cat /sys/block/vda/serial; echo; cat /sys/block/vdb/serial')
        expect(serials.stdout.split('\n').filter((line) => line !== '')).toEqual(['upper', 'lower'])
        expect((await run(agent, 'cat', '/sys/block/vda/ro', '/sys/block/vdb/ro')).stdout).toBe('0\n1\n')
        const before = await readFile(material.image.lower)
        const overwrite = await run(agent, 'dd', 'if=/dev/zero', 'of=/dev/vdb', 'bs=4096', 'count=1', 'conv=fsync')
        expect(overwrite.code).not.toBe(0)
        expect(await readFile(material.image.lower)).toEqual(before)
        expect((await run(agent, 'sh', '-c', 'echo kept > /root/kept; sync')).code).toBe(0)
        const upper = spec.drives[0]?.path ?? ''
        expect((await readFile(upper)).includes('kept\n')).toBe(true)
      })

      test('appends to its console, also after that was truncated in place', async () => {
        await using place = await bench()
        const spec = await place.spec()
        await writeFile(spec.consolePath, 'an earlier boot\n')
        const machine = await place.start(spec)
        const agent = await place.connect(machine.record)
        await agent.ready
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

      test('that pauses does nothing until it resumes', async () => {
        await using place = await bench()
        const { machine, agent } = await place.boot()
        await machine.pause()
        await machine.pause()
        const answer = agent.stat('/')
        expect(await Promise.race([answer, sleep(500, 'nothing')])).toBe('nothing')
        await machine.resume()
        await machine.resume()
        expect(await answer).toBeDefined()
        await machine.pause()
        await machine.kill()
        expect(await machine.exited).toMatchObject({ kind: 'killed' })
        await answerless(run(agent, 'true'))
      })

      test('keeps the time of its host, however busy that is', async () => {
        await using place = await bench()
        const { agent } = await place.boot()
        const first = await uptime(agent)
        await sleep(1500)
        const second = await uptime(agent)
        const passed = second.guest - first.guest
        // /proc/uptime counts hundredths.
        expect(passed).toBeGreaterThan(second.asked - first.answered - 25)
        expect(passed).toBeLessThan(second.answered - first.asked + 25)
      })

      test('that is killed is dead when kill returns, whoever asks, however often', async () => {
        await using place = await bench()
        const { machine, spec } = await place.boot()
        await Promise.all([machine.kill(), machine.kill()])
        expect(await isLocked(spec.lockPath)).toBe(false)
        expect(processesWith(spec.id)).toEqual([])
        await machine.kill()
        expect(await machine.exited).toEqual({ kind: 'killed', reason: 'cowshed killed the VM' })
        // The same disks boot again.
        const again = await place.start(await place.spec({ drives: spec.drives, lockPath: spec.lockPath }))
        await (await place.connect(again.record)).ready
      })
    })

    describe('a guest that ends', () => {
      test('by a reboot is reset, which ends its machine', async () => {
        await using place = await bench()
        const { machine, agent } = await place.boot()
        await answerless(run(agent, 'reboot', '-f'))
        expect(await machine.exited).toEqual({ kind: 'reset', reason: 'the guest rebooted' })
      })

      test('by a panic says so', async () => {
        await using place = await bench()
        const { machine, agent, spec } = await place.boot()
        await answerless(run(agent, 'sh', '-c', 'echo c > /proc/sysrq-trigger'))
        expect(await machine.exited).toMatchObject({ kind: 'panic', reason: expect.stringContaining('sysrq') })
        expect(await readFile(spec.consolePath, 'latin1')).toContain('Kernel panic')
      })

      test('by a panic before it has loaded anything says so too', async () => {
        await using place = await bench()
        const initrd = join(place.directory, 'empty-initrd')
        await writeFile(initrd, Buffer.alloc(512))
        const machine = await place.start(await place.spec({ kernel: { ...material.kernel, initrd } }))
        expect(await machine.exited).toMatchObject({ kind: 'panic', reason: expect.stringContaining('root fs') })
      })

      test('by SIGKILL of its VMM was killed', async () => {
        await using place = await bench()
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
      test('on an upper that another machine has leaves the other alone', async () => {
        await using place = await bench()
        const { agent, spec } = await place.boot()
        await expect(place.start(await place.spec({ drives: spec.drives }))).rejects.toMatchObject({
          code: 'MACHINE_FAILED',
          message: expect.stringMatching(/lock/i),
        })
        await expect(place.start(await place.spec({ lockPath: spec.lockPath }))).rejects.toMatchObject({
          code: 'MACHINE_FAILED',
        })
        expect((await run(agent, 'true')).code).toBe(0)
      })

      test('says what is wrong with its kernel or its drives', async () => {
        await using place = await bench()
        const garbage = join(place.directory, 'garbage')
        await writeFile(garbage, 'no kernel at all')
        const withKernel = async (vmlinuz: string) =>
          place.start(await place.spec({ kernel: { ...material.kernel, vmlinuz } }))
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
        await using place = await bench()
        const spec = await place.spec()
        const full = new Error('no space left for the record')
        const seen: MachineRecord[] = []
        const attempt = material.driver.start(spec, async (record) => {
          seen.push(record)
          throw full
        })
        await expect(attempt).rejects.toBe(full)
        expect(seen).toMatchObject([{ id: spec.id, agentKey: spec.agentKey }])
        expect(await isLocked(spec.lockPath)).toBe(false)
        expect(processesWith(spec.id)).toEqual([])
      })

      test('on a socket path that is too long is told so', async () => {
        await using place = await bench()
        const runDirectory = join(place.directory, 'x'.repeat(100))
        await expect(place.start(await place.spec({ runDirectory }))).rejects.toMatchObject({ code: 'PATH_TOO_LONG' })
      })
    })

    describe('a machine whose parent died', () => {
      test('runs on and is adopted, with its forwards', async () => {
        await using place = await bench()
        const spec = await place.spec({ network: 'user' })
        const record = await orphan(subject, spec, 'running')
        const machine = await adopted(material, place, { record, spec })
        const agent = await place.connect(record)
        await agent.ready
        expect((await run(agent, 'echo', 'still here')).stdout).toBe('still here\n')

        const forward = await machine.addForward({ guestPort: 80, hostPort: 0 })
        machine.release()
        const again = await adopted(material, place, { record, spec })
        expect(await again.forwards()).toEqual([forward])
        const third = await run(agent, 'true')
        expect(third.code).toBe(0)

        await agent.poweroff()
        expect(await again.exited).toMatchObject({ kind: 'powerdown' })
        expect(await material.driver.adopt(record, spec.lockPath)).toBeUndefined()
      })

      test('before it was even up is adopted, and tells of a panic', async () => {
        await using place = await bench()
        const spec = await place.spec()
        const record = await orphan(subject, spec, 'spawned')
        const machine = await adopted(material, place, { record, spec })
        const agent = await place.connect(record)
        await agent.ready
        await answerless(run(agent, 'sh', '-c', 'echo c > /proc/sysrq-trigger'))
        expect(await machine.exited).toMatchObject({ kind: 'panic' })
      })

      test('and that is killed later was killed', async () => {
        await using place = await bench()
        const spec = await place.spec()
        const record = await orphan(subject, spec, 'running')
        const machine = await adopted(material, place, { record, spec })
        killProcess({ pid: record.pid, startTime: record.pidStartTime }, 'SIGKILL')
        expect(await machine.exited).toMatchObject({ kind: 'killed' })
      })

      test('and that died too is known to be dead', async () => {
        await using place = await bench()
        const spec = await place.spec()
        const record = await orphan(subject, spec, 'spawned')
        killProcess({ pid: record.pid, startTime: record.pidStartTime }, 'SIGKILL')
        while (await isLocked(spec.lockPath)) await sleep(10)
        expect(await material.driver.adopt(record, spec.lockPath)).toBeUndefined()
      })

      test('is not taken for another process with its pid', async () => {
        await using place = await bench()
        const { machine, agent, spec } = await place.boot()
        const impostor = { ...machine.record, pidStartTime: '1' }
        await expect(material.driver.adopt(impostor, spec.lockPath)).rejects.toMatchObject({ code: 'MACHINE_FAILED' })
        expect((await run(agent, 'true')).code).toBe(0)
      })
    })

    describe('the network', () => {
      test('of the user kind reaches out, and is reached through forwards', async () => {
        await using place = await bench()
        const { machine, agent } = await place.boot({ network: 'user' })
        await run(agent, 'httpd', '-p', '80', '-h', '/www')
        const forward = await machine.addForward({ guestPort: 80, hostPort: 0 })
        expect(forward).toEqual({ guestPort: 80, hostPort: expect.any(Number) })
        expect(await get(forward.hostPort)).toBe('hello from the guest\n')
        expect(await machine.forwards()).toEqual([forward])
        await expect(machine.addForward({ guestPort: 81, hostPort: forward.hostPort })).rejects.toMatchObject({
          code: 'PORT_IN_USE',
        })
        await expect(machine.addForward({ guestPort: 0, hostPort: 0 })).rejects.toMatchObject({
          code: 'INVALID_REQUEST',
        })

        await machine.removeForward(forward.hostPort)
        await machine.removeForward(forward.hostPort)
        await expect(get(forward.hostPort)).rejects.toThrow()
        expect(await machine.forwards()).toEqual([])
        expect(await machine.addForward({ guestPort: 80, hostPort: forward.hostPort })).toEqual(forward)
        expect(await get(forward.hostPort)).toBe('hello from the guest\n')

        const server = createServer((_, response) => response.end('hello from the host\n'))
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        const { port } = server.address() as { port: number }
        try {
          expect((await run(agent, 'wget', '-qO-', `http://10.0.2.2:${port}/`)).stdout).toBe('hello from the host\n')
        } finally {
          server.close()
        }
      })

      test('of the none kind is not there', async () => {
        await using place = await bench()
        const { machine, agent } = await place.boot({ network: 'none' })
        expect((await run(agent, 'ls', '/sys/class/net')).stdout.trim()).toBe('lo')
        await expect(machine.addForward({ guestPort: 80, hostPort: 0 })).rejects.toMatchObject({
          code: 'INVALID_REQUEST',
        })
        expect(await machine.forwards()).toEqual([])
      })
    })
  })
}

/** A machine whose parent process was killed at that point. */
async function orphan(
  subject: DriverUnderTest,
  spec: MachineSpec,
  until: 'spawned' | 'running',
): Promise<MachineRecord> {
  const starter = startScript(new URL('./machine-starter.testkit.ts', import.meta.url), [
    subject.module.href,
    subject.make,
    JSON.stringify(spec),
    until,
  ])
  try {
    return JSON.parse(await firstLine(starter)) as MachineRecord
  } finally {
    await killScript(starter)
  }
}

interface Orphan {
  readonly record: MachineRecord
  readonly spec: MachineSpec
}

async function adopted({ driver }: Material, place: Workbench, { record, spec }: Orphan): Promise<Machine> {
  const machine = await driver.adopt(record, spec.lockPath)
  if (machine === undefined) throw new Error('the machine is dead')
  return place.own(machine)
}

/** The guest's clock between two readings of ours, all in milliseconds. */
async function uptime(agent: AgentConnection): Promise<{ asked: number; guest: number; answered: number }> {
  const asked = performance.now()
  const { stdout } = await run(agent, 'cat', '/proc/uptime')
  return { asked, guest: Number(stdout.split(' ')[0]) * 1000, answered: performance.now() }
}

/** What happens to a command whose guest goes away does not matter here. */
async function answerless(command: Promise<unknown>): Promise<void> {
  await Promise.race([command.catch(() => undefined), sleep(2000)])
}

async function appears(path: string, word: string): Promise<void> {
  while (!(await readFile(path, 'latin1')).includes(word)) await sleep(10)
}

async function get(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(20_000),
  })
  return await response.text()
}
