import { isOnPath } from '../../test/support/needs.ts'
import { registryTools } from '../../test/support/registry.ts'
import type { Absent } from './bench.ts'
import { missingVmTools } from './missing-vm-tools.ts'
import { mountTools } from './mounted-nbd.ts'

/** What a bench with a published image needs and this machine has not; root is among it. */
export function missingLazyTools(): Absent[] {
  const tools = [...registryTools, ...mountTools, 'nbdkit', 'mmdebstrap', 'skopeo'].filter((tool) => !isOnPath(tool))
  const missing = [
    ...tools.map((name): Absent => ({ kind: 'absent', name, why: 'is not installed' })),
    ...missingVmTools(),
  ]
  if (missing.length > 0 || process.getuid?.() === 0) return missing
  return [{ kind: 'absent', name: 'root', why: 'is who can mount' }]
}
