import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { type DataLayout, isProblem, newId, printable } from '../base/index.ts'
import { bootId, writeFileAtomically } from '../host/index.ts'
import type { Driver, Machine, MachineSpec } from './driver.ts'
import { fileTail } from './file-tail.ts'
import type { KernelFiles } from './kernel-files.ts'

/** How sheds run on this host, and for people: why. */
export interface Acceleration {
  readonly acceleration: 'kvm' | 'tcg'
  readonly reason: string
}

/** A guest under KVM says that it is there in well under a second; one that has not by now hangs. */
const usualDeadlineMs = 5000

const verdictSchema = z.object({
  acceleration: z.enum(['kvm', 'tcg']),
  reason: z.string(),
  boot_id: z.string(),
  driver: z.string(),
  driver_version: z.string(),
})

/**
 * Whether sheds can run under KVM here. That is found out by booting the guest's kernel once, with a deadline: there are hosts whose
 * /dev/kvm works for everything but an ordinary guest, which then hangs for ever. The verdict is kept beside the kernel for as long as
 * the host is up and the driver stays the same.
 *
 * @throws Problem TOOL_NOT_FOUND, HOST_UNSUPPORTED when the driver itself cannot be used; no VM is left running in any case
 */
export async function probeAcceleration(
  layout: DataLayout,
  kernel: KernelFiles,
  driver: Driver,
  { deadlineMs = usualDeadlineMs } = {},
): Promise<Acceleration> {
  const { version } = await driver.probe()
  const now = { boot_id: bootId(), driver: driver.name, driver_version: version }
  const path = layout.kernel(kernel.id).accel
  const known = await readVerdict(path)
  if (known !== undefined && Object.entries(now).every(([key, value]) => known[key as keyof typeof now] === value)) {
    return { acceleration: known.acceleration, reason: known.reason }
  }
  try {
    const found = await bootUnderKvm({ kernel, driver, deadlineMs })
    await writeFileAtomically(path, Buffer.from(`${JSON.stringify({ ...found, ...now }, null, 2)}\n`))
    return found
  } catch (error) {
    // Not kept: it costs nothing to find out, and the user may join the group kvm.
    if (isProblem(error, 'ACCELERATION_UNAVAILABLE')) return emulated(error.message)
    throw error
  }
}

/** Makes the next probe find out anew: what hindered KVM may have been mended since. */
export async function forgetAcceleration(layout: DataLayout, kernel: KernelFiles): Promise<void> {
  await rm(layout.kernel(kernel.id).accel, { force: true })
}

/** A verdict that cannot be read is found out again. */
async function readVerdict(path: string): Promise<z.infer<typeof verdictSchema> | undefined> {
  try {
    return verdictSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return undefined
  }
}

interface Probe {
  readonly kernel: KernelFiles
  readonly driver: Driver
  readonly deadlineMs: number
}

async function bootUnderKvm({ kernel, driver, deadlineMs }: Probe): Promise<Acceleration> {
  const directory = await mkdtemp(join(tmpdir(), 'cowshed-probe-'))
  try {
    const spec = await probeSpec(kernel, directory)
    const machine = await driver.start(spec, async () => {})
    await endWithin(machine, deadlineMs)
    return await judge(spec)
  } catch (error) {
    if (isProblem(error, 'MACHINE_FAILED')) return emulated(`a VM under KVM failed: ${error.message}`)
    throw error
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function judge(spec: MachineSpec): Promise<Acceleration> {
  const printed = await fileTail(spec.consolePath, { maxBytes: 64 * 1024 })
  if (printed.includes('cowshed: probe ok')) return { acceleration: 'kvm', reason: 'the guest kernel boots under KVM' }
  const last = printed.trim().split(/\r?\n/).at(-1) ?? ''
  const sign = last === '' ? 'without a sign of life' : `after "${printable(last.slice(0, 200))}"`
  return emulated(`/dev/kvm is there, but the guest kernel hangs or fails under it ${sign}`)
}

/** The guest turns itself off when it has booted; one that has not in time is killed. */
async function endWithin(machine: Machine, milliseconds: number): Promise<void> {
  const giveUp = new AbortController()
  const timer = sleep(milliseconds, undefined, { signal: giveUp.signal }).catch(() => undefined)
  await Promise.race([machine.exited, timer])
  giveUp.abort()
  await machine.kill()
}

async function probeSpec(kernel: KernelFiles, directory: string): Promise<MachineSpec> {
  const runDirectory = join(directory, 'run')
  await mkdir(runDirectory, { mode: 0o700 })
  return {
    name: 'cowshed-probe',
    id: newId(),
    cpus: 1,
    memoryBytes: 256 * 2 ** 20,
    kernel,
    kernelArguments: ['cowshed.probe=1'],
    drives: [],
    network: 'none',
    acceleration: 'kvm',
    consolePath: join(directory, 'console.log'),
    logPath: join(directory, 'vmm.log'),
    lockPath: join(directory, 'vmm.lock'),
    runDirectory,
    agentKey: '0'.repeat(32),
  }
}

function emulated(reason: string): Acceleration {
  return { acceleration: 'tcg', reason }
}
