import { Problem } from '../../base/index.ts'
import type { CreateShedRequest } from '../../contract/index.ts'
import type { ShedsContext } from '../context.ts'
import { withColdBoot } from '../memory/with-cold-boot.ts'
import { type HeldMemory, holdMemory } from './hold-memory.ts'
import type { LoadedSnapshot } from './load-snapshot.ts'

/**
 * The memory that a new shed is to go on from, if it is made from a snapshot that has one and nobody wants it booted.
 *
 * @throws Problem INVALID_REQUEST for what is another machine than the one that the memory is of; what holdMemory throws
 */
export async function memoryToGoOnFrom(
  context: ShedsContext,
  snapshot: LoadedSnapshot | undefined,
  request: CreateShedRequest,
): Promise<HeldMemory | undefined> {
  if (snapshot?.record.memory === undefined || request.cold_boot === true) return undefined
  const differs = whatDiffers(snapshot, request)
  if (differs !== undefined) {
    const message = `a shed that goes on from the memory of ${snapshot.record.name} is what that was, and ${differs}`
    throw new Problem('INVALID_REQUEST', message, {
      hint: 'leave that out; or have it booted from the disk alone: --cold-boot',
    })
  }
  try {
    return await holdMemory(context, snapshot.record.name)
  } catch (error) {
    throw withColdBoot(error)
  }
}

/** The processors, the memory and the drives of a machine are part of what is in its memory. */
function whatDiffers({ record }: LoadedSnapshot, request: CreateShedRequest): string | undefined {
  const { cpus = record.cpus, memory_bytes: memory = record.memory_bytes, network = record.network } = request
  if (cpus !== record.cpus) return `that had ${record.cpus} CPUs`
  if (memory !== record.memory_bytes) return 'that had another --memory'
  if (network !== record.network) return `that had --net ${record.network}`
  if (request.volumes.length > 0) return 'that had no other volumes'
  if (request.snapshot_volumes === false && record.volumes.length > 0) return 'that had volumes'
  return request.start ? undefined : 'that ran'
}
