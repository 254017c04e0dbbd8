import { Problem } from '../../base/index.ts'
import { ExtentCutter } from '../../formats/index.ts'
import { openWorker } from '../../host/index.ts'
import { type Batch, type CompressedStretch, compressStretches } from './compress-stretches.ts'

/** Where stretches are compressed: here, or on threads that share the work. */
export interface Compressors {
  /** So many calls keep all of them busy. */
  readonly atOnce: number
  /** The batch's memory is theirs until they are done. */
  compress(batch: Batch): Promise<readonly CompressedStretch[]>
  close(): Promise<void>
}

/** @param threads 0: the caller itself compresses, before it goes on */
export function openCompressors(threads: number, clusterBlocks: number): Compressors {
  if (threads === 0) return compressingHere(clusterBlocks)
  const module = new URL('./compress-stretches-worker.ts', import.meta.url)
  const workers = Array.from({ length: threads }, () => openWorker({ name: 'compress-stretches-worker', module }))
  let calls = 0
  return {
    // Each has the next one waiting while the caller is busy with something else.
    atOnce: 2 * threads,
    async compress(batch) {
      const worker = workers[calls++ % threads]
      if (worker === undefined) throw new Problem('INTERNAL', 'there is no thread to compress')
      return await worker.call<readonly CompressedStretch[]>({ ...batch, clusterBlocks })
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()))
    },
  }
}

function compressingHere(clusterBlocks: number): Compressors {
  const cutter = new ExtentCutter(clusterBlocks)
  return { atOnce: 0, compress: async (batch) => compressStretches(cutter, batch), close: async () => {} }
}
