import { statSync } from 'node:fs'
import { type DataLayout, type Digest, isDigest, problemFromSystem } from '../../base/index.ts'
import { blockSize, type DeviceSlot } from '../../formats/index.ts'
import type { LowerKind } from './lower-kind.ts'

/** A data blob that belongs to a lower in parts. */
export interface LowerPart {
  readonly diffId: Digest
  readonly path: string
  readonly bytes: number
}

/**
 * The data blobs that the devices of a lower are, in their order: the tag of a device is the diff_id of its layer (write-bootstrap.ts), so the
 * bootstrap alone says which they are.
 *
 * @returns undefined when one of them is not there or has another size
 * @throws Problem IO_FAILED, PERMISSION_DENIED
 */
export function lowerParts(
  layout: DataLayout,
  { profile }: LowerKind,
  devices: readonly DeviceSlot[],
): LowerPart[] | undefined {
  const parts: LowerPart[] = []
  for (const { tag, blocks } of devices) {
    const diffId = `sha256:${tag}`
    // Nothing that is no digest becomes a path, though a right checksum says that nobody but us wrote it.
    if (!isDigest(diffId)) return undefined
    const part = { diffId, path: layout.layerData(diffId, profile), bytes: blocks * blockSize }
    if (sizeOf(part.path) !== part.bytes) return undefined
    parts.push(part)
  }
  return parts
}

function sizeOf(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size
  } catch (error) {
    throw problemFromSystem(error, `look at ${path}`)
  }
}
