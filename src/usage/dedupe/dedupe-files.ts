import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import { openFileMapper, usedByFiles } from '../../host/index.ts'
import { openHashReader } from './block-hashes.ts'
import { chooseRuns, mayChange } from './choose-runs.ts'
import type { DedupeFile, DedupeJob, DedupePhase, DedupeResult } from './dedupe-job.ts'
import { findDuplicates } from './find-duplicates.ts'
import { findSegments, partsOf, type Segments } from './find-segments.ts'
import { forgetHashes } from './forget-hashes.ts'
import { hashSegments } from './hash-segments.ts'
import { openPace } from './open-pace.ts'
import { ourExtents } from './our-extents.ts'
import { outcomeByFile } from './outcome-by-file.ts'
import { planRuns } from './plan-runs.ts'
import { predictGain } from './predict-gain.ts'
import { shareRuns } from './share-runs.ts'

/** A page of x86, and what guests and most filesystems call a block. */
const leastBlock = 4096

/** Told of bytes done, of how many. */
export type OnDeduped = (phase: DedupePhase, done: number, total: number) => void

/**
 * Finds blocks that files have in common, and unless it is a dry run lets them have them only once. Contents stay as they are, whatever happens meanwhile: the
 * kernel compares, under its own locks, before it shares.
 *
 * @throws a system error
 */
export async function dedupeFiles(job: DedupeJob, onProgress: OnDeduped): Promise<DedupeResult> {
  using mapper = openFileMapper(job.root)
  const block = Math.max(leastBlock, statfsSync(job.root).bsize)
  const mappedAt = { time: Date.now(), generation: mapper.settle() }
  const maps = job.files.map((file) => mapper.mapOf(file))
  const { parts, extents } = partsOf(maps)
  const segments = findSegments(parts, block)
  const pace = openPace(job.rate)

  const hashesOf = ({ inode }: DedupeFile) => join(job.hashes, `${inode}.hashes`)
  await forgetHashes(job.hashes, job.files.map(hashesOf))
  const toHash = bytesOf(segments)
  let [readBytes, hashed] = [0, 0]
  const onHashed = async (bytes: number, isRead: boolean) => {
    hashed += bytes
    if (isRead) readBytes += bytes
    onProgress('hash', hashed, toHash)
    await pace(isRead ? bytes : 0)
  }
  await hashSegments({ segments, files: job.files, block, mappedAt, hashesOf, onHashed })

  using reader = openHashReader()
  const readHashes = (number: number, first: number, into: Buffer) => {
    const file = job.files[number]
    if (file === undefined || file.role === 'counted') into.fill(0)
    else reader.read(hashesOf(file), first, into)
  }
  const duplicates = findDuplicates(segments, { block, readHashes })
  const may = mayChange(segments, job.files)
  const found = planRuns(segments, duplicates, may)
  const isOurs = ourExtents(mapper, parts, extents)
  const runs = chooseRuns({ segments, runs: found, block, unit: mapper.unit, extents, isOurs, may })
  const plan = { maps, segments, extents, runs, block, mapper }
  const files = outcomeByFile(plan, job.files.length)
  const accuracy = mapper.unit === 'unseen' ? 'bounds' : 'exact'
  const result = { accuracy, predicted: predictGain(plan), files, readBytes, knownBytes: hashed - readBytes } as const
  if (job.dryRun) return result

  const before = usedByFiles(job.root)
  const toShare = files.reduce((sum, { sharedBytes }) => sum + sharedBytes, 0)
  let shared = 0
  const onShared = async (bytes: number) => {
    shared += bytes
    onProgress('share', Math.min(shared, toShare), toShare)
    // Both sides are read, to be compared.
    await pace(2 * bytes)
  }
  const { firstBlock } = duplicates
  const done = await shareRuns({ ...plan, firstBlock, files: job.files, staging: job.staging, onShared })
  return { ...result, done, reclaimedBytes: Math.max(0, before - usedByFiles(job.root)) }
}

function bytesOf({ length }: Segments): number {
  return length.reduce((sum, bytes) => sum + bytes, 0)
}
