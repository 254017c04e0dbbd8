import { closeSync, openSync, readSync } from 'node:fs'
import { type BlockRun, blockSize, type FindZeroRuns } from '../../formats/index.ts'

/** A shorter run costs an extent and saves little: 32 KiB. */
const shortestRun = 8
/** A long run is read by so many blocks at a time. */
const strideBlocks = 64

const zeros = Buffer.alloc(strideBlocks * blockSize)

/**
 * Looks for zeros in data blobs, which are what a sparse file of a layer has for its holes. It goes by their content alone: whether a blob has holes depends on the
 * host's filesystem. One block in eight is read, and more only where that is zeros. It blocks its thread.
 */
export class ZeroRuns implements Disposable {
  readonly #paths: readonly string[]
  readonly #open = new Map<string, number>()
  readonly #buffer = Buffer.alloc(strideBlocks * blockSize)

  /** @param paths of the data blobs, by number */
  constructor(paths: readonly string[]) {
    this.#paths = paths
  }

  /** @throws what the system says */
  readonly find: FindZeroRuns = ({ blob, startBlock, blocks }) => {
    const runs: BlockRun[] = []
    const isZero = (at: number, count = 1) => this.#isZero(blob, startBlock + at, count)
    // Every run that is long enough has one of the blocks that are looked at.
    for (let at = nextLook(0); at < blocks; ) {
      if (!isZero(at)) {
        at += shortestRun
        continue
      }
      const last = runs.at(-1)
      let [start, end] = [at, at + 1]
      while (start > (last === undefined ? 0 : last.start + last.blocks) && isZero(start - 1)) start--
      while (end + strideBlocks <= blocks && isZero(end, strideBlocks)) end += strideBlocks
      while (end < blocks && isZero(end)) end++
      if (end - start >= shortestRun) runs.push({ start, blocks: end - start })
      at = nextLook(end)
    }
    return runs
  }

  #isZero(blob: number, block: number, count: number): boolean {
    const path = this.#paths[blob] ?? ''
    const fd = this.#open.get(path) ?? openSync(path, 'r')
    this.#open.set(path, fd)
    const bytes = count * blockSize
    const read = readSync(fd, this.#buffer, 0, bytes, block * blockSize)
    return read === bytes && this.#buffer.compare(zeros, 0, bytes, 0, bytes) === 0
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd)
    this.#open.clear()
  }
}

/** The first block from here on that is looked at. */
function nextLook(from: number): number {
  return from + shortestRun - 1 - (from % shortestRun)
}
