import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import type { Driver, MachineSpec } from '../../src/machines/index.ts'
import { kernelTools, testKernel } from '../support/kernel.ts'
import { miniImage, miniImageTools } from '../support/mini-image.ts'
import { needs } from '../support/needs.ts'
import { describeAdoption } from './machine-adoption.ts'
import { describeLife } from './machine-life.ts'
import { describeMemory } from './machine-memory.ts'
import { describeNetwork } from './machine-network.ts'
import { type Material, type Workbench, workbench } from './workbench.ts'

export interface DriverUnderTest {
  /** The module and the export that make the driver: a process of its own makes one too. */
  readonly module: URL
  readonly make: string
  readonly acceleration: MachineSpec['acceleration']
  /** The programs that the driver needs. */
  readonly tools: readonly string[]
}

/** What each part of the suite works with; the material is there once its tests run. */
export interface Suite {
  readonly subject: DriverUnderTest
  material(): Material
  bench(): Promise<Workbench>
}

/** The suite that every driver must pass. It boots real machines; a driver is done when it passes. */
export function describeDriver(name: string, subject: DriverUnderTest): void {
  describe.runIf(needs({ tools: [...subject.tools, ...kernelTools, ...miniImageTools] }))(`driver ${name}`, () => {
    let material: Material
    let directory: string

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

    const suite: Suite = { subject, material: () => material, bench: () => workbench(material) }
    describeLife(suite)
    describeAdoption(suite)
    describeMemory(suite)
    describeNetwork(suite)
  })
}
