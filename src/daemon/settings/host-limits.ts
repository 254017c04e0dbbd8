import { availableParallelism, totalmem } from 'node:os'
import type { HostLimits } from '../../sheds/index.ts'
import type { Settings } from './settings.ts'

const smallestReserve = 512 * 2 ** 20

/** What sheds may have of this host: as config.toml says, else all of its memory less a reserve. */
export function hostLimits({ max_sheds, max_memory }: Settings['limits'], memoryBytes = memoryOfHost()): HostLimits {
  return {
    maxSheds: max_sheds,
    maxMemoryBytes: max_memory ?? Math.max(0, memoryBytes - Math.max(Math.ceil(memoryBytes / 8), smallestReserve)),
    cpus: availableParallelism(),
  }
}

/** In a container, what that may have. */
function memoryOfHost(): number {
  const allowed = process.constrainedMemory()
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()
}
