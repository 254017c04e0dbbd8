import type { DataLayout } from '../../base/index.ts'
import { type Cloned, cloneFile } from '../../host/index.ts'
import { installVolume } from './create-volume.ts'
import type { Volume } from './load-volume.ts'

export interface CloneVolume {
  readonly from: string
  readonly name: string
  /** How its disk is copied; cloneFile when left out. */
  readonly clone?: (from: string, to: string) => Promise<Cloned>
}

/**
 * Makes a volume with what another one has on its disk, sharing extents where the filesystem can. The caller sees to it that nobody writes to that disk
 * meanwhile.
 *
 * @throws Problem VOLUME_ALREADY_EXISTS, FILE_NOT_FOUND, NO_SPACE; there is nothing new then
 */
export async function cloneVolume(layout: DataLayout, { from, name, clone = cloneFile }: CloneVolume): Promise<Volume> {
  return await installVolume(layout, name, async (path) => void (await clone(layout.volume(from).data, path)))
}
