import type { DataLayout, Digest } from '../../base/index.ts'
import { checkLower } from '../lowers/check-lower.ts'
import type { Lower } from '../lowers/ensure-lower.ts'

/**
 * The lower of a manifest whose layers are not here, when there is one and it is whole as far as its first block tells. Whether it is that of the
 * manifest was found out when it was installed: its uuid depends on the writer that made it, which may be another version of cowshed.
 */
export function findKeptLower(layout: DataLayout, manifest: Digest): Lower | undefined {
  const path = layout.keptLower(manifest)
  const checked = checkLower(path)
  if (checked.complaint !== undefined || checked.kind.form !== 'whole') return undefined
  return { kind: checked.kind, path, parts: [], bytes: checked.bytes, outcome: 'present', warnings: [] }
}
