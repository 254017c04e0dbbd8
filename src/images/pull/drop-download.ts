import { rmSync } from 'node:fs'
import { type Digest, problemFromSystem } from '../../base/index.ts'
import type { ImagesContext } from '../images-context.ts'

/**
 * Removes what a download has left, unless somebody is at it. Nothing is awaited between the look and the removal, and a pull leases a blob
 * before it looks what there is of it: none is taken from under its hands.
 *
 * @returns whether it is gone
 * @throws Problem IO_FAILED, PERMISSION_DENIED
 */
export function dropDownload({ layout, leases }: Pick<ImagesContext, 'layout' | 'leases'>, digest: Digest): boolean {
  if (leases.isLeased(digest)) return false
  const path = layout.partialBlob(digest)
  try {
    rmSync(path, { force: true })
    return true
  } catch (error) {
    throw problemFromSystem(error, `remove ${path}`)
  }
}
