import { type DataLayout, type Digest, isProblem } from '../../base/index.ts'
import { blockSize, readExt4Head } from '../../formats/index.ts'
import { readFileHead } from '../../host/index.ts'
import { rootfsIdentity } from './rootfs-identity.ts'

export interface RootfsImage {
  readonly path: string
  /** The smallest size that a clone of it can have. */
  readonly bytes: number
  readonly outcome: 'built' | 'present'
  /** What was dropped from the image or is odd about it, for people; empty when it was present. */
  readonly warnings: readonly string[]
}

/**
 * The root filesystem of a manifest, when it is there and whole as far as its superblock tells.
 *
 * @throws Problem IO_FAILED, PERMISSION_DENIED
 */
export function findRootfs(layout: DataLayout, manifest: Digest): RootfsImage | undefined {
  const path = layout.rootfsImage(manifest)
  const bytes = soundBytes(path, manifest)
  return bytes === undefined ? undefined : { path, bytes, outcome: 'present', warnings: [] }
}

/** The size of a file that is the root filesystem of a manifest, and complete; undefined for any other. */
export function soundBytes(path: string, manifest: Digest): number | undefined {
  const file = readFileHead(path, blockSize)
  try {
    if (file === undefined) return undefined
    const { uuid, bytes } = readExt4Head(file.head)
    return uuid.equals(rootfsIdentity(manifest).uuid) && bytes === file.size ? bytes : undefined
  } catch (error) {
    if (isProblem(error, 'EXT4_INVALID')) return undefined
    throw error
  }
}
