import { formatSize, Problem } from '../../base/index.ts'
import { upperBytes } from '../../disks/index.ts'

/** What the sheds of a data directory may have of this host. */
export interface HostLimits {
  /** How many may run at once; without it, as many as there is memory for. */
  readonly maxSheds?: number | undefined
  /** How much memory those that run may have been given in all. */
  readonly maxMemoryBytes: number
  /** How many CPUs the host has: a shed with more would only wait for itself. */
  readonly cpus: number
}

export interface WantedOfHost {
  readonly name: string
  readonly cpus: number
  readonly memory_bytes: number
  readonly upper_bytes: number
}

/** @throws Problem INVALID_REQUEST for a shed that could never run here, whatever else does */
export function checkFits({ cpus, maxMemoryBytes }: HostLimits, wanted: WantedOfHost): void {
  const { name } = wanted
  if (wanted.cpus > cpus) {
    throw new Problem('INVALID_REQUEST', `${name} cannot have ${wanted.cpus} CPUs: this host has ${cpus}`, {
      hint: `--cpus ${cpus} is the most`,
    })
  }
  if (wanted.memory_bytes > maxMemoryBytes) {
    const most = `all sheds together may have ${formatSize(maxMemoryBytes)} on this host`
    throw new Problem('INVALID_REQUEST', `${name} cannot have ${formatSize(wanted.memory_bytes)} of memory: ${most}`, {
      hint: 'choose less with --memory, or allow more: limits.max_memory in config.toml',
    })
  }
  upperBytes(wanted.upper_bytes)
}
