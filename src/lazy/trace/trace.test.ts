import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type DataLayout, dataLayout, digestOf } from '../../base/index.ts'
import {
  addToTrace,
  type BootTrace,
  bootTraceLimits,
  encodeBootTrace,
  leafBytes,
  leavesOf,
} from '../../formats/index.ts'
import { holdLazyDirectory, openLazyLower } from '../index.ts'
import { FakeRegistry, type PublishedLower, publishedLower } from '../published.testkit.ts'
import { openTrace } from './open-trace.ts'
import { listBootTraces, readBootTrace, writeBootTrace } from './trace-files.ts'
import { TraceKeeper } from './trace-keeper.ts'

let published: PublishedLower
let directory: TemporaryDirectory
let made = 0

beforeAll(async () => {
  published = await publishedLower()
  directory = await temporaryDirectory()
})
afterAll(() => directory[Symbol.asyncDispose]())

const chunkIndex = digestOf('index')
const none: BootTrace = { chunkIndex, boots: 0, runs: [] }
const traceOf = (...leaves: number[]) => addToTrace(none, leaves)
const lower = () => ({ chunkIndex, leaves: published.index.leaves.length / 32 })

/** A data directory in which there is such a lower. */
async function newHost(): Promise<DataLayout> {
  const layout = dataLayout(join(directory.path, `${made++}`))
  const lock = await holdLazyDirectory(layout, chunkIndex)
  lock.release()
  return layout
}

async function openLower(trace?: BootTrace) {
  const registry = new FakeRegistry(published)
  const path = join(directory.path, `${made++}`)
  const opened = await openLazyLower({
    ...{ index: published.index, path },
    readStored: registry.read,
    policy: { kind: 'fail', afterMs: 60_000 },
    listener: { degraded: () => {}, recovered: () => {} },
    trace: Promise.resolve(trace),
  })
  return { lower: opened, registry, path, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
}

/** In the file that keeps what was fetched. */
async function cameAhead({ path }: { readonly path: string }, leaf: number): Promise<void> {
  const [from, until] = [leaf * leafBytes, (leaf + 1) * leafBytes]
  const isHere = async () => (await readFile(path)).subarray(from, until).equals(published.lower.subarray(from, until))
  await expect.poll(isHere, { timeout: 60_000 }).toBe(true)
}

const read = async (opened: Awaited<ReturnType<typeof openLower>>, leaf: number) => {
  const bytes = await opened.lower.read(leaf * leafBytes, 100)
  expect(bytes.equals(published.lower.subarray(leaf * leafBytes, leaf * leafBytes + 100))).toBe(true)
}

describe('a lower whose trace is known', () => {
  test('has what a boot reads before it is read, and fetches each byte once', async () => {
    await using opened = await openLower(traceOf(40, 41, 42, 60, 61, 12))
    for (const leaf of [40, 41, 42, 60, 61, 12]) await cameAhead(opened, leaf)
    for (const leaf of [40, 41, 42, 60, 61, 12]) await read(opened, leaf)
    expect(opened.lower.counters.misses).toBe(0)
    const ranges = opened.registry.requests.map(({ digest, from, until }) => `${digest} ${from}-${until}`)
    expect(new Set(ranges).size).toBe(ranges.length)
  })

  test('tells what was fetched for nothing', async () => {
    await using opened = await openLower(traceOf(40))
    await cameAhead(opened, 40)
    const before = opened.lower.counters.unreadBytes
    await read(opened, 40)
    await read(opened, 40)
    expect(opened.lower.counters.unreadBytes).toBe(before - leafBytes)
  })

  test('which is not what somebody waited for', async () => {
    await using opened = await openLower()
    // Zeros at the end of the window that comes: they are here as soon as they are looked at.
    await read(opened, 22)
    const { missing } = opened.lower.leaves
    const before = opened.lower.counters.unreadBytes
    await read(opened, 12)
    // The window may still be coming; what has come of it besides is for nobody yet.
    const others = () => (missing - opened.lower.leaves.missing - 1) * leafBytes
    await expect.poll(() => opened.lower.counters.unreadBytes - before - others(), { timeout: 60_000 }).toBe(0)
  })

  test('gives the right bytes when the registry gives wrong ones for what is fetched ahead', async () => {
    await using opened = await openLower(traceOf(...Array.from({ length: 30 }, (_, at) => 30 + at)))
    opened.registry.answers.push(...Array.from({ length: 2 }, () => (bytes: Buffer) => Buffer.alloc(bytes.length, 'x')))
    for (let leaf = 30; leaf < 60; leaf++) await read(opened, leaf)
  })

  test('is closed in the middle of it', async () => {
    const opened = await openLower(traceOf(...Array.from({ length: 70 }, (_, at) => at)))
    opened.registry.always = () => new Promise(() => {})
    await opened[Symbol.asyncDispose]()
  })
})

describe('a boot is recorded', () => {
  test('in the order of its first reads, beyond the bootstrap', async () => {
    await using opened = await openLower()
    for (const leaf of [50, 0, 1, 12, 51, 50, 12]) await read(opened, leaf)
    expect(opened.lower.touched).toEqual([50, 12, 51])
  })

  test('by adding it to those before it, the first three', async () => {
    const layout = await newHost()
    const boots = [[50, 12], [12, 70], [71], [80]]
    for (const touched of boots) await boot(layout, touched)
    const trace = await readBootTrace(layout, lower(), 'boot')
    expect(trace).toMatchObject({ boots: 3 })
    expect(leavesOf(trace ?? none)).toEqual([50, 12, 70, 71])
  })

  test('while it goes on: a kill -9 takes what came last', async () => {
    const layout = await newHost()
    const touched = [50]
    await using _ = new TraceKeeper({ layout, name: 'boot', earlier: none, touched: () => touched })
    const saved = async () => leavesOf((await readBootTrace(layout, lower(), 'boot')) ?? none)
    await expect.poll(saved, { timeout: 60_000 }).toEqual([50])
    touched.push(60)
    await expect.poll(saved, { timeout: 60_000 }).toEqual([50, 60])
  })

  test('when it reads anything, and else nothing is written', async () => {
    const layout = await newHost()
    await boot(layout, [])
    expect(await listBootTraces(layout, lower())).toEqual([])
  })

  test('but no copy of the whole image: what was known before it stays', async () => {
    const layout = await newHost()
    const touched = [1]
    const known = async () => (await listBootTraces(layout, lower())).map(({ trace }) => leavesOf(trace))
    {
      await using _ = new TraceKeeper({ layout, name: 'boot', earlier: none, touched: () => touched })
      await expect.poll(known, { timeout: 60_000 }).toEqual([[1]])
      touched.push(...Array.from({ length: bootTraceLimits.leaves }, (_, at) => at + 2))
    }
    expect(await known()).toEqual([])
    await boot(layout, [50])
    await boot(layout, touched)
    expect(await known()).toEqual([[50]])
  })

  test('not where it cannot be: that harms nobody', async () => {
    const layout = await newHost()
    await writeFile(layout.lazyLower(chunkIndex).traces, 'in the way')
    await boot(layout, [50])
  })

  async function boot(layout: DataLayout, touched: number[]): Promise<void> {
    const { replay, record } = await open(layout)
    expect(await replay).toEqual(await readBootTrace(layout, lower(), 'boot'))
    if (record === undefined) return
    const keeper = new TraceKeeper({ layout, name: 'boot', earlier: record, touched: () => touched })
    await keeper[Symbol.asyncDispose]()
  }
})

describe('a trace that came with an image', () => {
  test('goes before what was recorded here, and nothing is recorded any more', async () => {
    const layout = await newHost()
    await writeBootTrace(layout, { name: 'boot', trace: traceOf(1) })
    const { replay, record } = await open(layout, encodeBootTrace(traceOf(5, 6)))
    expect([await replay, record]).toEqual([traceOf(5, 6), undefined])
  })

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['other bytes', (bytes) => Buffer.alloc(bytes.length, 'x')],
    ['too few', (bytes) => bytes.subarray(1)],
    ['none', () => Buffer.alloc(0)],
  ])('is as good as none when %s come', async (_, change) => {
    const { replay } = await open(await newHost(), encodeBootTrace(traceOf(5)), change)
    expect(await replay).toBeUndefined()
  })

  test('is as good as none when it is of another lower, or the registry is away', async () => {
    const other = encodeBootTrace({ ...traceOf(5), chunkIndex: digestOf('other') })
    expect(await (await open(await newHost(), other)).replay).toBeUndefined()
    const away = () => {
      throw new Error('nobody answers')
    }
    expect(await (await open(await newHost(), encodeBootTrace(traceOf(5)), away)).replay).toBeUndefined()
  })

  test('of another name is not this one', async () => {
    const { replay, record } = await open(await newHost(), encodeBootTrace(traceOf(5)), undefined, 'web')
    expect([await replay, record]).toEqual([undefined, none])
  })
})

test('a trace has a name that is no path', async () => {
  const refused = open(await newHost(), undefined, undefined, '../data')
  await expect(refused).rejects.toMatchObject({ code: 'INVALID_REQUEST', hint: expect.stringContaining('--trace') })
})

test('traces of a host are listed by name; what is damaged is passed over', async () => {
  const layout = await newHost()
  for (const name of ['web', 'boot']) await writeBootTrace(layout, { name, trace: traceOf(5) })
  await writeFile(layout.bootTrace(chunkIndex, 'damaged'), 'x')
  await writeFile(layout.bootTrace(chunkIndex, 'Not a name'), encodeBootTrace(traceOf(5)))
  expect((await listBootTraces(layout, lower())).map(({ name }) => name)).toEqual(['boot', 'web'])
  expect(await listBootTraces(await newHost(), lower())).toEqual([])
  expect(await readdir(layout.lazyLower(chunkIndex).traces)).toHaveLength(4)
})

/** @param bytes what was published as `boot` @param change what becomes of it on the way */
async function open(layout: DataLayout, bytes?: Buffer, change: (bytes: Buffer) => Buffer = (it) => it, name = 'boot') {
  return await openTrace({
    ...{ layout, lower: lower(), name, signal: new AbortController().signal },
    published: bytes === undefined ? [] : [{ name: 'boot', digest: digestOf(bytes), size: bytes.length }],
    readStored: async function* () {
      yield change(bytes ?? Buffer.alloc(0))
    },
  })
}
