import type { MachineSpec } from '../driver.ts'

/** How much RAM QEMU gives a machine, in bytes: it counts in 8 KiB, and a file of RAM has to have exactly that size. */
export function ramBytes({ memoryBytes }: Pick<MachineSpec, 'memoryBytes'>): number {
  return Math.floor(memoryBytes / granule) * granule
}

const granule = 8192
