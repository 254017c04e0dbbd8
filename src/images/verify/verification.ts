import type { Digest } from '../../base/index.ts'
import type { ImageFinding } from '../../contract/index.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'
import type { Contents } from './contents-of.ts'
import { bringAgain, repairIt, stopFirst } from './mends.ts'
import { attempt, isOpenElsewhere, notTried, outcome } from './repair.ts'
import type { VerifyProgress } from './verify-progress.ts'

/** One verification on its way: what it looks at, and what it has found. */
export interface Verification extends LongWork {
  readonly context: ImagesContext
  readonly contents: Contents
  readonly progress: VerifyProgress
  readonly findings: ImageFinding[]
  readonly notes: string[]
  readonly repair: boolean
}

/** What nothing right can be made of. */
export interface Damaged {
  readonly damagedBlobs: ReadonlySet<Digest>
  readonly damagedLayers: ReadonlySet<Digest>
}

export interface MadeFile {
  readonly kind: 'lower' | 'rootfs'
  readonly manifest: Digest
  readonly path: string
  /** The blobs that it can be made from. */
  readonly sources: readonly Digest[]
  readonly images: ReadonlySet<string>
}

/** Notes that a file which was made of blobs is damaged, once it was mended if that is wanted and can be. @throws Problem CANCELLED */
export async function findDamaged(
  { findings, repair }: Verification,
  { kind, manifest, path, sources, images }: MadeFile,
  how: { readonly complaint: string; readonly damagedBlobs: ReadonlySet<Digest>; readonly mend: () => Promise<void> },
): Promise<void> {
  const names = [...images].sort()
  const mendable = sources.every((digest) => !how.damagedBlobs.has(digest))
  const inUse = await isOpenElsewhere(path)
  const failure = repair && mendable && !inUse ? await attempt(how.mend) : notTried
  const { repaired, message } = outcome(how.complaint, failure)
  const mend = mendable ? (inUse ? stopFirst(names) : repairIt(names)) : bringAgain(names)
  findings.push({ kind, digest: manifest, path, images: names, message, mend, repaired })
}
