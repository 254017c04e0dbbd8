import { shortDigest } from '../../base/index.ts'
import { type BuiltRootfs, rootfsComplaint } from './built-rootfs.ts'
import { repairRootfs } from './repair.ts'
import { type Damaged, findDamaged, type Verification } from './verification.ts'

/** @throws Problem CANCELLED */
export async function verifyRootfs(
  run: Verification,
  all: readonly BuiltRootfs[],
  { damagedBlobs, damagedLayers }: Damaged,
): Promise<void> {
  const { context, progress, notes, signal } = run
  const itemOf = ({ manifest }: BuiltRootfs) => `${shortDigest(manifest)} ext4`
  for (const rootfs of all) progress.expect(itemOf(rootfs), rootfs.bytes)
  for (const rootfs of all) {
    const comparable = rootfs.parts?.every(({ diffId }) => !damagedLayers.has(diffId)) === true
    if (!comparable) {
      notes.push(
        `the root filesystem of ${[...rootfs.images].sort().join(', ')}: only its superblock was checked, its layers are not in the cache`,
      )
    }
    const complaint = await rootfsComplaint(context, rootfs, {
      comparable,
      onBytes: progress.of(itemOf(rootfs)),
      signal,
    })
    if (complaint === undefined) continue
    const mend = () => repairRootfs(context, rootfs, { signal })
    await findDamaged(run, { ...rootfs, kind: 'rootfs' }, { complaint, damagedBlobs, mend })
  }
}
