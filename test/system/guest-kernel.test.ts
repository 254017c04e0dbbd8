import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dataLayout, Problem, type Progress } from '../../src/base/index.ts'
import {
  createQemuDriver,
  currentKernel,
  type Driver,
  installKernel,
  type KernelFiles,
  type MachineSpec,
  probeAcceleration,
} from '../../src/machines/index.ts'
import { processesWith } from '../conformance/workbench.ts'
import { kernelTools, testAgent, testKernel } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const qemu = process.arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'

describe.runIf(needs({ tools: [qemu, ...kernelTools] }))('the guest kernel', () => {
  let kernel: KernelFiles
  let root: string
  beforeAll(async () => {
    kernel = await testKernel()
    root = await mkdtemp(join(tmpdir(), 'cowshed-kernel-'))
  }, 600_000)
  afterAll(() => rm(root, { recursive: true, force: true }))

  test('comes from Debian without installing anything', async () => {
    const layout = dataLayout(join(root, 'from-debian'))
    const { files, outcome } = await installKernel(layout, { agentPath: await testAgent() })
    expect(outcome).toBe('installed')
    expect(await currentKernel(layout)).toEqual(files)
    expect(await readdir(layout.staging)).toEqual([])
    // The same package, agent and writer: the same kernel, wherever it was made. That of the other tests may be older than Debian's newest.
    const elsewhere = await installKernel(dataLayout(join(root, 'elsewhere')), { agentPath: await testAgent() })
    expect(elsewhere.files).toMatchObject({ id: files.id, release: files.release })

    const steps: string[] = []
    const onProgress = ({ phase }: Progress) => void steps.push(phase)
    const again = await installKernel(layout, { agentPath: await testAgent(), onProgress })
    expect(again).toEqual({ files, outcome: 'present' })
    // It was not downloaded once more.
    expect(steps).toEqual([])
  }, 600_000)

  describe('tells whether KVM works', () => {
    const probe = async (driver: Driver, name: string, deadlineMs = 60_000) => {
      const layout = dataLayout(join(root, name))
      const { dir, accel } = layout.kernel(kernel.id)
      await mkdir(dir, { recursive: true })
      return { found: await probeAcceleration(layout, kernel, driver, { deadlineMs }), verdict: accel }
    }

    test('on this host, in bounded time, and leaves nothing', async () => {
      const { found, verdict } = await probe(createQemuDriver(), 'here', 5000)
      expect(['kvm', 'tcg']).toContain(found.acceleration)
      expect(found.reason).not.toBe('')
      expect(processesWith('cowshed-probe')).toEqual([])
      if (/has no \/dev\/kvm|may not open/.test(found.reason)) return
      expect(JSON.parse(await readFile(verdict, 'utf8'))).toMatchObject({ ...found, driver: 'qemu' })
    })

    test('not at all where there is none, and then remembers nothing', async () => {
      const none = new Problem('ACCELERATION_UNAVAILABLE', 'this host has no /dev/kvm')
      const driver: Driver = { ...createQemuDriver(), start: () => Promise.reject(none) }
      const { found, verdict } = await probe(driver, 'none')
      expect(found).toEqual({ acceleration: 'tcg', reason: none.message })
      await expect(readFile(verdict)).rejects.toMatchObject({ code: 'ENOENT' })
    })

    // Emulation in the place of KVM: what counts is what the guest does.
    test('by booting it once, which is remembered', async () => {
      const starts: MachineSpec[] = []
      const driver = emulating(starts, {})
      const { found } = await probe(driver, 'good')
      expect(found).toEqual({ acceleration: 'kvm', reason: 'the guest kernel boots under KVM' })
      expect(starts).toMatchObject([{ acceleration: 'kvm', drives: [], network: 'none' }])
      expect((await probe(driver, 'good')).found).toEqual(found)
      expect(starts).toHaveLength(1)
    })

    test('by a deadline, when the guest hangs, and asks again when it cannot read the verdict', async () => {
      const starts: MachineSpec[] = []
      // As a guest does whose clock never ticks.
      const driver = emulating(starts, { kernelArguments: ['cowshed.probe=1', 'rdinit=/dev/null', 'panic=0'] })
      const { found, verdict } = await probe(driver, 'hanging', 1000)
      expect(found.acceleration).toBe('tcg')
      expect(found.reason).toMatch(/hangs or fails/)
      expect(processesWith('cowshed-probe')).toEqual([])
      await writeFile(verdict, '{"acceleration":')
      expect((await probe(driver, 'hanging', 1000)).found.acceleration).toBe('tcg')
      expect(starts).toHaveLength(2)
    })
  })
})

/** The QEMU driver, which takes KVM for emulation. */
function emulating(starts: MachineSpec[], change: Partial<MachineSpec>): Driver {
  const driver = createQemuDriver()
  return {
    ...driver,
    start: (spec, onSpawned) => {
      starts.push(spec)
      return driver.start({ ...spec, ...change, acceleration: 'tcg' }, onSpawned)
    },
  }
}
