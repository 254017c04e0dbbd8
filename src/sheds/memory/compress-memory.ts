import { rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type DataLayout, formatSize, Problem, problemFromSystem } from '../../base/index.ts'
import {
  type CompressWithoutZeros,
  filesystemOf,
  installFile,
  openStaging,
  runInWorker,
  syncFile,
  unsharedBytes,
  type WithoutZeros,
} from '../../host/index.ts'
import { readRecord } from '../../state/index.ts'
import type { KeptMemory } from './kept-memory.ts'
import { MemoryRecord } from './memory-record.ts'
import { loadMemory, otherThanWritten, type StoredMemory } from './stored-memory.ts'

/** Of zstd: higher ones save nothing here (docs/decisions/0127-ram-is-not-compressed.md). */
const level = 1

/** What takes more than this part of what it took is not worth inflating. */
const worthwhile = 0.9

/** What RAM took on disk, without what it shares with others, and what it takes compressed: st_blocks × 512. */
export interface CompressedMemory {
  readonly before: number
  readonly after: number
}

/**
 * Compresses a memory that is kept, on a thread that gives way to all others, and puts it in the place of what was there. All but that is done outside
 * of turns: whoever wants one ends this at once. Wherever it is cut off there is mem.snap, or the same compressed, or both; then the first counts.
 *
 * @returns undefined when there is nothing to do, or it is not worth it, or there is another memory by now, or none, or somebody uses it
 * @throws Problem CANCELLED, MEMORY_DAMAGED, NO_SPACE, IO_FAILED; the memory is then as it was
 */
export async function compressMemory(layout: DataLayout, kept: KeptMemory): Promise<CompressedMemory | undefined> {
  const { name, files, turns } = kept
  await using staging = await openStaging(layout, `compress-${name}`)
  const made = compressedIn(staging.path)
  const memory = await turns.whileAtRest(name, async (signal) => {
    const found = await loadMemory(files)
    return found.isCompressed ? undefined : { ...found, sizes: await compressRam(found, made, signal) }
  })
  if (memory === undefined || memory.sizes.after > memory.sizes.before * worthwhile) return undefined
  const replace = async () => await replaceRam(kept, { record: memory.record, staging: staging.path })
  return (await turns.run(name, replace)) ? memory.sizes : undefined
}

/** What is damaged is left as it is, for whoever goes on from it to be told. */
async function compressRam({ ram, record }: StoredMemory, to: string, signal: AbortSignal): Promise<CompressedMemory> {
  const before = unsharedBytes(ram)
  await checkSpace(to, before)
  const { sha256 } = await runJob({ from: ram, to, level }, signal)
  if (sha256 !== record.ram.sha256) throw otherThanWritten(ram)
  await syncFile(to)
  return { before, after: unsharedBytes(to) }
}

/** What nobody waits for does not take the last space from those who work, not even for a moment. */
async function checkSpace(to: string, bytes: number): Promise<void> {
  const { freeBytes } = await filesystemOf(dirname(to))
  if (freeBytes >= bytes) return
  throw new Problem('NO_SPACE', `less is free (${formatSize(freeBytes)}) than it takes (${formatSize(bytes)})`, {
    hint: 'see what holds the space: cowshed system df -v; then: cowshed system prune',
  })
}

function runJob(job: CompressWithoutZeros, signal: AbortSignal): Promise<WithoutZeros> {
  return runInWorker<WithoutZeros>({
    name: 'compress-memory-worker',
    module: new URL('./compress-memory-worker.ts', import.meta.url),
    input: job,
    signal,
  })
}

function compressedIn(staging: string): string {
  return `${staging}/compressed`
}

interface ReplaceRam {
  /** Of what was compressed. */
  readonly record: MemoryRecord
  /** Where it is; what it takes the place of goes there. */
  readonly staging: string
}

/** Inside its turn, and soon done: what takes long, to remove a large file, comes after. @returns false when it is not to be */
async function replaceRam({ files, isUsed }: KeptMemory, { record, staging }: ReplaceRam): Promise<boolean> {
  const { memoryRecord, memSnap, memSnapZst } = files
  const there = await readRecord(memoryRecord, MemoryRecord)
  if (!isDeepStrictEqual(there, record) || isUsed()) return false
  await installFile({ from: compressedIn(staging), to: memSnapZst })
  try {
    await rename(memSnap, `${staging}/replaced`)
  } catch (error) {
    throw problemFromSystem(error, `take ${memSnap} away`)
  }
  return true
}
