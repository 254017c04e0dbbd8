import { type DataLayout, parseDigest } from '../../base/index.ts'
import { isLocked } from '../../host/index.ts'
import type { ImageUser } from '../../images/index.ts'
import type { ShedsContext } from '../context.ts'
import { loadAllSnapshots, type SnapshotEntry } from '../snapshots/load-snapshot.ts'
import { isImageHere } from '../snapshots/lower-of-snapshot.ts'
import { loadAllSheds } from './load-shed.ts'

/**
 * Which manifests sheds and snapshots are pinned to, and which sheds have a VM. That is for the VMM's lock to say, and not for records: a VM may have died, or
 * outlived what its record says. In the middle of a transition it may come any moment.
 *
 * @throws Problem RECORD_INVALID for a shed or a snapshot that cannot be read: it may need any image
 */
export async function listImageUsers(context: ShedsContext): Promise<ImageUser[]> {
  // Read anew, each: it is for those who delete.
  const before = await loadAllSnapshots(context)
  const all = await loadAllSheds({ layout: context.layout })
  // Either may have been made from the other between the looks, which then went.
  const snapshots = [...before, ...(await loadAllSnapshots(context))]
  const sheds = await Promise.all(
    all.map(async ({ name, record, problem }) => {
      if (problem !== undefined) throw problem
      const manifestDigest = parseDigest(record.image.manifest_digest)
      // Made from a snapshot that came without its image, it has all that it needs.
      if (record.rootfs === 'ext4' && record.snapshot && !isImageHere(context.layout, manifestDigest)) return []
      // A root filesystem of its own is all that a shed has open.
      const isRunning =
        record.rootfs === 'erofs' &&
        (context.transitions.isBusy(name) || (await isLocked(context.layout.shed(name).vmmLock)))
      return [{ name, manifestDigest, isRunning, isLazy: record.lazy !== undefined }]
    }),
  )
  return [...sheds.flat(), ...snapshots.flatMap((snapshot) => userOfSnapshot(context.layout, snapshot))]
}

/** What is under a snapshot is needed by whoever makes a shed from it. Its name is none that a shed can have. */
function userOfSnapshot(layout: DataLayout, { name, snapshot, problem }: SnapshotEntry): ImageUser[] {
  if (problem !== undefined) throw problem
  const { image, imported_at } = snapshot.record
  const manifestDigest = parseDigest(image.manifest_digest)
  // One that came without its image keeps nothing of it. Of any other it would be a loss, and nothing may go then.
  if (imported_at !== undefined && !isImageHere(layout, manifestDigest)) return []
  return [{ name: `snapshot ${name}`, manifestDigest, isRunning: false }]
}
