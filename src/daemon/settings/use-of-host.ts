import type { HostUse } from '../../contract/index.ts'
import type { HostLimits } from '../../sheds/index.ts'

/** What the sheds that run take of what they may. */
export function useOfHost(
  { maxSheds, maxMemoryBytes }: HostLimits,
  occupants: readonly { readonly memory_bytes: number }[],
): HostUse {
  return {
    sheds: occupants.length,
    ...(maxSheds === undefined ? {} : { max_sheds: maxSheds }),
    memory_bytes: occupants.reduce((sum, { memory_bytes }) => sum + memory_bytes, 0),
    max_memory_bytes: maxMemoryBytes,
  }
}
