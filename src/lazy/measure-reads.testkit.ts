import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { digestOf } from '../base/index.ts'
import { addToTrace, type ChunkIndex, leafBytes } from '../formats/index.ts'
import { openLazyLower } from './index.ts'
import { FakeRegistry, type RangedBytes, type StoredBlobs } from './published.testkit.ts'

/** In bytes of the lower. */
export interface LowerRead {
  readonly offset: number
  readonly length: number
}

/** What reads have taken, with the bootstrap and without documents. */
export interface ReadCost {
  readonly requests: number
  /** As they are stored. */
  readonly kib: number
  /** Reads that had to wait. */
  readonly misses: number
}

export interface MeasureReads {
  readonly published: StoredBlobs & { readonly index: ChunkIndex; readonly lower: RangedBytes }
  /** Nothing is there. */
  readonly path: string
  /** One after the other, as programs do. */
  readonly reads: readonly LowerRead[]
  /** With `traced`, a trace says what will be read, and the reads begin when all of it is here. */
  readonly ahead: 'nothing' | 'traced'
}

/** So much may be more than it was when it was measured. */
const slack = 1.05

/** @throws AssertionError when it is more than 5 % more */
export function expectWithin({ requests, kib }: Omit<ReadCost, 'misses'>, most: Omit<ReadCost, 'misses'>): void {
  expect([requests, Math.round(kib)]).toEqual([
    expect.toSatisfy((count: number) => count <= most.requests * slack, `at most ${most.requests} requests`),
    expect.toSatisfy((count: number) => count <= most.kib * slack, `at most ${most.kib} KiB`),
  ])
}

/** Reads from a lower of which nothing is here, and sees that what comes is right. */
export async function measureReads({ published, path, reads, ahead }: MeasureReads): Promise<ReadCost> {
  const registry = new FakeRegistry(published)
  const none = { chunkIndex: digestOf('index'), boots: 0, runs: [] }
  await using lower = await openLazyLower({
    ...{ index: published.index, path, readStored: registry.read },
    trace: Promise.resolve(ahead === 'traced' ? addToTrace(none, leavesOf(reads)) : undefined),
    policy: { kind: 'hang' },
    listener: { degraded: () => {}, recovered: () => {} },
  })
  const rightBytes = ({ offset, length }: LowerRead) => published.lower.subarray(offset, offset + length)
  if (ahead === 'traced') {
    await using file = await open(path, 'r')
    for (const read of reads) {
      const [right, bytes] = [rightBytes(read), Buffer.alloc(read.length)]
      const cameAhead = async () => (await file.read(bytes, 0, read.length, read.offset)).buffer.equals(right)
      while (!(await cameAhead())) await sleep(1)
    }
  }
  for (const read of reads) expect((await lower.read(read.offset, read.length)).equals(rightBytes(read))).toBe(true)
  const { requests, requestedBytes, misses } = lower.counters
  return { requests, kib: requestedBytes / 1024, misses }
}

/** Each once, in the order of the first reads. */
function leavesOf(reads: readonly LowerRead[]): number[] {
  const leaves = reads.flatMap(({ offset, length }) => {
    const first = Math.floor(offset / leafBytes)
    const count = Math.floor((offset + length - 1) / leafBytes) - first + 1
    return Array.from({ length: count }, (_, at) => first + at)
  })
  return [...new Set(leaves)]
}
