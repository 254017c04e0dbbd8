import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { digestOf } from '../base/index.ts'
import { addToTrace, type BootTrace, leafBytes } from '../formats/index.ts'
import { openLazyLower } from './index.ts'
import { FakeRegistry, largeLower, type PublishedLower } from './published.testkit.ts'

let published: PublishedLower
let directory: TemporaryDirectory
let files = 0

beforeAll(async () => {
  published = await largeLower()
  directory = await temporaryDirectory()
})
afterAll(() => directory[Symbol.asyncDispose]())

const bytesOf = (leaf: number) => ({ offset: leaf * leafBytes + 1000, length: 4096 })
/** What is read, one read after the other, as programs do. */
const workloads = {
  /** A program that starts: here and there, none beside the one before it. */
  scattered: [212, 66, 331, 148, 371, 17, 257, 39, 462, 115, 444, 69, 213, 18, 67, 332, 34, 480].map(bytesOf),
  /** A library: 6 MiB, in pieces. */
  straight: Array.from({ length: 96 }, (_, at) => ({ offset: 300 * leafBytes + at * 65_536, length: 65_536 })),
  /** The end of it first, as an archive is read. */
  backwards: Array.from({ length: 40 }, (_, at) => bytesOf(200 - at)),
}

/** So much may be more than it was when it was measured. */
const slack = 1.05

describe.each<[keyof typeof workloads, Cost, Cost]>([
  ['scattered', { requests: 15, kib: 12_289 }, { requests: 15, kib: 7936 }],
  ['straight', { requests: 6, kib: 8704 }, { requests: 4, kib: 7680 }],
  ['backwards', { requests: 13, kib: 3584 }, { requests: 3, kib: 3328 }],
])('what is read %s', (name, plain, traced) => {
  test('takes so many requests and bytes, of a lower of 32 MiB', async () => {
    expectWithin(await costOf(name), plain)
  })

  test('takes so many by a trace, and no read waits', async () => {
    const leaves = new Set(workloads[name].map(({ offset }) => Math.floor(offset / leafBytes)))
    const none = { chunkIndex: digestOf('index'), boots: 0, runs: [] }
    const { misses, ...cost } = await costOf(name, addToTrace(none, [...leaves]))
    expectWithin(cost, traced)
    expect(misses).toBe(0)
  })
})

/** With the bootstrap. */
interface Cost {
  readonly requests: number
  readonly kib: number
}

function expectWithin({ requests, kib }: Cost, most: Cost): void {
  expect([requests, kib].map(Math.round)).toEqual([
    expect.toSatisfy((count: number) => count <= most.requests * slack, `at most ${most.requests} requests`),
    expect.toSatisfy((count: number) => count <= most.kib * slack, `at most ${most.kib} KiB`),
  ])
}

/** Of reads that begin when what is fetched ahead is here. */
async function costOf(name: keyof typeof workloads, trace?: BootTrace): Promise<Cost & { readonly misses: number }> {
  const registry = new FakeRegistry(published)
  const path = join(directory.path, `${files++}`)
  await using lower = await openLazyLower({
    ...{ index: published.index, path, readStored: registry.read, trace: Promise.resolve(trace) },
    policy: { kind: 'hang' },
    listener: { degraded: () => {}, recovered: () => {} },
  })
  await using file = await open(path, 'r')
  for (const { offset, length } of trace === undefined ? [] : workloads[name]) {
    const right = published.lower.subarray(offset, offset + length)
    const cameAhead = async () => (await file.read(Buffer.alloc(length), 0, length, offset)).buffer.equals(right)
    await expect.poll(cameAhead, { timeout: 60_000 }).toBe(true)
  }
  for (const { offset, length } of workloads[name]) {
    const bytes = await lower.read(offset, length)
    expect(bytes.equals(published.lower.subarray(offset, offset + length))).toBe(true)
  }
  const { requests, requestedBytes, misses } = lower.counters
  return { requests, kib: requestedBytes / 1024, misses }
}
