import { shortDigest } from '../../base/index.ts'
import { type BuiltLower, lowerComplaint } from './built-lowers.ts'
import { repairLower } from './repair.ts'
import { type Damaged, findDamaged, type Verification } from './verification.ts'

/** @throws Problem CANCELLED */
export async function verifyLowers(
  run: Verification,
  lowers: readonly BuiltLower[],
  { damagedBlobs, damagedLayers }: Damaged,
): Promise<void> {
  const { context, progress, notes, signal } = run
  for (const { manifest, bytes } of lowers) progress.expect(shortDigest(manifest), bytes)
  for (const lower of lowers) {
    const { manifest, parts, chunks, digest, images } = lower
    const comparable = parts?.every(({ diffId }) => !damagedLayers.has(diffId)) === true
    if (!comparable && chunks === undefined && digest === undefined) {
      notes.push(
        `the lower of ${[...images].sort().join(', ')}: only its structure was checked, its layers are not in the cache`,
      )
    }
    const onBytes = progress.of(shortDigest(manifest))
    const complaint = await lowerComplaint(context, lower, { comparable, onBytes, signal })
    if (complaint === undefined) continue
    const mend = () => repairLower(context, lower, { signal })
    await findDamaged(run, { ...lower, kind: 'lower' }, { complaint, damagedBlobs, mend })
  }
}
