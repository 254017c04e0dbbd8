import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { Problem } from '../base/index.ts'
import { leafBytes } from '../formats/index.ts'
import { PassingProblem } from '../wires/index.ts'
import { damageFile, damages } from './damage.testkit.ts'
import { type LazyLower, type OpenLazyLower, openLazyLower } from './index.ts'
import { type Answer, FakeRegistry, type PublishedLower, publishedLower } from './published.testkit.ts'

let published: PublishedLower
let directory: TemporaryDirectory
let files = 0

beforeAll(async () => {
  published = await publishedLower()
  directory = await temporaryDirectory()
})
afterAll(() => directory[Symbol.asyncDispose]())

const down: Answer = () => {
  throw new PassingProblem('REGISTRY_UNREACHABLE', 'nobody answers')
}
const silent: Answer = () => new Promise(() => {})
const flipped =
  (at: number): Answer =>
  (bytes) => {
    const wrong = Buffer.from(bytes)
    wrong[at % wrong.length] = (wrong[at % wrong.length] ?? 0) ^ 1
    return wrong
  }

/** A lower of which nothing is here but what the file has. */
async function openLower(options: Partial<OpenLazyLower> & { registry?: FakeRegistry } = {}) {
  const { registry = new FakeRegistry(published), path = join(directory.path, `${files++}`), ...rest } = options
  // Opening needs the bootstrap, which a policy of an instant might not wait for.
  if (rest.policy !== undefined) await (await openLower({ path })).lower[Symbol.asyncDispose]()
  const states: string[] = []
  const lower = await openLazyLower({
    index: published.index,
    path,
    readStored: registry.read,
    policy: { kind: 'fail', afterMs: 60_000 },
    listener: { degraded: () => states.push('degraded'), recovered: () => states.push('recovered') },
    ...rest,
  })
  return { lower, registry, path, states, [Symbol.asyncDispose]: () => lower[Symbol.asyncDispose]() }
}

async function expectRight(lower: LazyLower, offset: number, length: number): Promise<void> {
  const bytes = await lower.read(offset, length)
  expect(bytes.equals(published.lower.subarray(offset, offset + length)), `${offset}+${length}`).toBe(true)
}

const range = () =>
  fc
    .tuple(fc.nat({ max: published.lower.length - 1 }), fc.nat({ max: 600_000 }))
    .map(([offset, length]) => ({ offset, length: Math.max(1, Math.min(length, published.lower.length - offset)) }))

describe('a lower that is not here', () => {
  test('gives the right bytes of any range, in any order, and fetches what was fetched no more', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(range(), { minLength: 1, maxLength: 12 }), async (ranges) => {
        await using opened = await openLower()
        await Promise.all(ranges.map(({ offset, length }) => expectRight(opened.lower, offset, length)))
        const { misses } = opened.lower.counters
        for (const { offset, length } of ranges) await expectRight(opened.lower, offset, length)
        expect(opened.lower.counters.misses).toBe(misses)
      }),
      { numRuns: 40 },
    )
  })

  test('has its bootstrap when it is opened, and asks for no more than that', async () => {
    await using opened = await openLower()
    const parts = new Set(opened.registry.requests.map(({ digest }) => digest))
    // The last leaf of the bootstrap has some of the first data in it.
    expect([...parts]).toEqual(published.index.parts.slice(0, 2).map(({ digest }) => digest))
    const before = opened.registry.requests.length
    await expectRight(opened.lower, 0, 37 * 4096)
    expect(opened.registry.requests).toHaveLength(before)
  })

  test('asks for what it needs of two blobs at the same time', async () => {
    await using opened = await openLower()
    const { registry, lower } = opened
    const before = registry.requests.length
    const both = () => registry.requests.length === before + 2
    registry.always = async (bytes) => {
      while (!both()) await new Promise((resolve) => setImmediate(resolve))
      return bytes
    }
    const seam = published.index.parts.slice(0, 2).reduce((at, { lengths }) => at + lengths.reduce((a, b) => a + b), 0)
    await expectRight(lower, seam - 1, 2)
    const [, ...parts] = published.index.parts.map(({ digest }) => digest)
    expect(registry.requests.slice(before).map(({ digest }) => digest)).toEqual(parts)
  })

  test('fetches each byte once when fifty read all of it at the same time', async () => {
    await using opened = await openLower()
    const { length } = published.lower
    const readers = Array.from({ length: 50 }, (_, at) => expectRight(opened.lower, at, length - 50))
    await Promise.all(readers)
    const stored = published.index.parts.reduce(
      (total, part) => total + part.storedLengths.reduce((a, b) => a + b, 0),
      0,
    )
    // Chunks at the seams of windows come again in part: their neighbours were not fetched together.
    expect(opened.lower.counters.requestedBytes).toBeLessThan(stored * 1.5)
    expect(opened.lower.counters.fetchedBytes).toBeLessThanOrEqual(length)
  })

  test('knows where its zeros are, and does not fetch them', async () => {
    await using opened = await openLower()
    const { lower, registry } = opened
    const first = lower.runAt(0, lower.bytes)
    expect(first).toEqual({ isZero: false, length: expect.any(Number) })
    const zeros = lower.runAt(first.length, lower.bytes - first.length)
    expect(zeros.isZero).toBe(true)
    expect(zeros.length).toBeGreaterThan(6 * leafBytes)
    const before = registry.requests.length
    await expectRight(lower, first.length, zeros.length)
    expect(registry.requests).toHaveLength(before)
  })

  test('takes what the host has from there, and believes none of it', async () => {
    const [bootstrap = 0, first = 0] = published.index.parts.map(({ lengths }) => lengths.reduce((a, b) => a + b, 0))
    const path = join(directory.path, 'layer')
    const bytes = Buffer.from(published.lower.subarray(bootstrap, bootstrap + first))
    bytes[bytes.length - 190_000] = (bytes[bytes.length - 190_000] ?? 0) ^ 1
    await writeFile(path, Buffer.concat([Buffer.alloc(100), bytes]))
    await using file = await open(path, 'r')
    await using opened = await openLower({ local: new Map([[1, [{ fd: file.fd, offset: 100 }]]]) })
    await expectRight(opened.lower, bootstrap, 500_000)
    expect(opened.registry.requests.map(({ digest }) => digest)).not.toContain(published.index.parts[1]?.digest)
    // Here it is not what it should be.
    await expectRight(opened.lower, bootstrap + first - 200_000, 200_000)
    expect(opened.lower.counters).toMatchObject({ wrongLeaves: 1 })
    expect(opened.registry.requests.map(({ digest }) => digest)).toContain(published.index.parts[1]?.digest)
    // Giving up in the middle must not close what is not ours: its number may be another file's by now.
    expect((await file.stat()).size).toBe(bytes.length + 100)
  })

  test('is filled behind those who read, and then needs nobody', async () => {
    await using opened = await openLower()
    await opened.lower.fill({ signal: new AbortController().signal })
    expect(opened.lower.leaves.missing).toBe(0)
    opened.registry.always = down
    await expectRight(opened.lower, 0, published.lower.length)
    expect((await readFile(opened.path)).equals(published.lower)).toBe(true)
  })

  test('is filled to the end although the registry goes away meanwhile', async () => {
    await using opened = await openLower({ policy: { kind: 'fail', afterMs: 200 } })
    opened.registry.answers.push(silent)
    await opened.lower.fill({ signal: new AbortController().signal })
    expect(opened.lower.leaves.missing).toBe(0)
  }, 60_000)

  test('is opened by as many as like at the same time', async () => {
    await using one = await openLower()
    await using two = await openLower({ path: one.path })
    await expectRight(one.lower, 1_000_000, 300_000)
    const before = two.registry.requests.length
    await expectRight(two.lower, 1_000_000, 300_000)
    expect(two.registry.requests).toHaveLength(before)
  })
})

describe('the cache', () => {
  test('gives the right bytes after any damage, and fetches no more than what was damaged', async () => {
    const path = join(directory.path, 'damaged')
    {
      await using opened = await openLower({ path })
      await opened.lower.fill({ signal: new AbortController().signal })
    }
    const place = fc.nat({ max: published.lower.length - 1 })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...damages), place, range(), async (damage, at, { offset, length }) => {
        await damageFile(path, damage, at)
        await using opened = await openLower({ path })
        await expectRight(opened.lower, offset, length)
        await expectRight(opened.lower, 0, published.lower.length)
        if (damage === 'flip') expect(opened.lower.counters.fetchedBytes).toBeLessThanOrEqual(64 * leafBytes)
        expect((await readFile(path)).equals(published.lower)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('of another process, killed at any moment, is as good as what it had written', async () => {
    const path = join(directory.path, 'torn')
    {
      await using opened = await openLower({ path })
      await expectRight(opened.lower, 0, 2_000_000)
    }
    const bytes = await readFile(path)
    // Half of a leaf had been written.
    bytes.fill(0, 20 * leafBytes + 1000, 21 * leafBytes)
    await writeFile(path, bytes)
    await using opened = await openLower({ path })
    await expectRight(opened.lower, 0, 2_000_000)
    expect(opened.lower.counters.damagedLeaves).toBe(1)
  })

  test('gives what it has with the registry dead, and says so of what it has not', async () => {
    const path = join(directory.path, 'offline')
    {
      await using opened = await openLower({ path })
      await expectRight(opened.lower, 1_000_000, 300_000)
    }
    const registry = new FakeRegistry(published)
    registry.always = down
    await using opened = await openLower({ path, registry, policy: { kind: 'fail', afterMs: 50 } })
    await expectRight(opened.lower, 1_000_000, 300_000)
    await expect(opened.lower.read(3_500_000, 100)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
    expect((await stat(path)).size).toBe(published.lower.length)
  })
})

describe('what is to be seen of its leaves', () => {
  /** Of a percentage of each cell: a leaf each, for there are so few. */
  const all = (cells: readonly number[]) => cells.filter((percent) => percent === 100).length
  const count = () => Math.ceil(published.lower.length / leafBytes)

  test('is what is here, what was read, and what was fetched and read by nobody', async () => {
    const path = join(directory.path, 'marks')
    let hereBytes = 0
    {
      await using opened = await openLower({ path })
      const { lower } = opened
      const before = lower.heat()
      expect([before.cellBytes, before.here.length]).toEqual([leafBytes * Math.ceil(count() / 64), before.read.length])
      expect([all(before.read), all(before.ahead) > 0]).toEqual([0, true])
      const zeros = lower.hereBytes() - lower.counters.fetchedBytes
      expect(zeros).toBeGreaterThan(6 * leafBytes)
      await expectRight(opened.lower, 0, 37 * 4096)
      await expectRight(opened.lower, 3_000_000, 1)
      const { read, ahead } = lower.heat()
      const cells = read.flatMap((percent, cell) => (percent > 0 ? [cell] : []))
      expect(cells).toEqual([
        ...new Set([0, leafBytes, 2 * leafBytes, 3_000_000].map((at) => Math.floor(at / before.cellBytes))),
      ])
      expect(ahead[0]).toBe(0)
      expect(lower.counters.unreadBytes).toBeGreaterThan(0)
      await opened.lower.fill({ signal: new AbortController().signal })
      expect([lower.hereBytes(), all(lower.heat().here)]).toEqual([published.lower.length, before.here.length])
      hereBytes = lower.hereBytes()
    }
    await truncate(path, 20 * leafBytes)
    await using again = await openLower({ path })
    const { lower } = again
    expect([lower.counters.unreadBytes, all(lower.heat().read)]).toEqual([0, 0])
    expect(lower.hereBytes()).toBeLessThan(hereBytes)
    await expectRight(again.lower, 0, published.lower.length)
    expect([lower.hereBytes(), lower.counters.unreadBytes]).toEqual([hereBytes, 0])
  })

  test('is believed by nobody who reads them', async () => {
    const path = join(directory.path, 'lies')
    await writeFile(path, Buffer.alloc(published.lower.length, 'x'))
    await using opened = await openLower({ path })
    await expectRight(opened.lower, 0, published.lower.length)
    expect(opened.lower.hereBytes()).toBe(published.lower.length)
  })
})

describe('the registry', () => {
  const far = 4_000_000

  test.each<[string, Answer[]]>([
    ['fails', [down]],
    ['fails again and again', [down, down, down]],
    [
      'asks for patience',
      [() => Promise.reject(new PassingProblem('REGISTRY_THROTTLED', 'later', { retryAfterMs: 1 }))],
    ],
    ['gives a wrong byte', [flipped(5000)]],
    ['gives wrong bytes twice', [flipped(5000), flipped(90_000)]],
    ['gives too little', [(bytes) => bytes.subarray(0, 1000)]],
    ['gives nothing', [() => Buffer.alloc(0)]],
    ['gives something else', [(bytes) => Buffer.alloc(bytes.length, 'x')]],
  ])('%s, and the right bytes come after all', async (_, answers) => {
    await using opened = await openLower()
    opened.registry.answers.push(...answers)
    await expectRight(opened.lower, far, 100_000)
  })

  test('always gives wrong bytes: after three times it is an error, and the mirrors were passed by', async () => {
    await using opened = await openLower()
    opened.registry.always = (bytes) => Buffer.alloc(bytes.length, 'x')
    await expect(opened.lower.read(far, 10)).rejects.toMatchObject({ code: 'COMPRESSION_INVALID' })
    expect(opened.registry.requests.slice(-3).map(({ mirrors }) => mirrors)).toEqual([undefined, undefined, false])
    opened.registry.always = (bytes) => bytes
    await expectRight(opened.lower, far, 10)
  })

  test('gives wrong bytes of one leaf alone: all others can be read', async () => {
    const leaves = Buffer.from(published.index.leaves)
    leaves.fill(0, 50 * 32, 51 * 32)
    await using other = await openLower({ index: { ...published.index, leaves } })
    const all = Array.from({ length: Math.ceil(published.lower.length / leafBytes) }, (_, leaf) => leaf * leafBytes)
    const outcomes = await Promise.allSettled(all.map(async (offset) => await other.lower.read(offset, 100)))
    expect(outcomes.flatMap(({ status }, leaf) => (status === 'rejected' ? [leaf] : []))).toEqual([50])
  })

  test.each<[string, Answer]>([
    ['is away', down],
    ['says nothing', silent],
  ])('%s for longer than the policy: reads fail, and succeed when it is back', async (_, answer) => {
    await using opened = await openLower({ policy: { kind: 'fail', afterMs: 30 } })
    opened.registry.always = answer
    const failed = { code: 'REGISTRY_UNREACHABLE', message: expect.stringContaining('nothing came for') }
    // More than may be under way at once: those that wait in line wait no longer than others.
    const reads = Array.from({ length: 30 }, (_, at) => opened.lower.read(2_100_000 + at * 90_000, 10))
    for (const outcome of await Promise.allSettled(reads)) expect(outcome).toMatchObject({ reason: failed })
    opened.registry.always = (bytes) => bytes
    await expect.poll(() => read(opened.lower, far), { timeout: 60_000 }).toBe('right')
    if (answer === down) expectTurns(opened.states)
  })

  test('is away, and the policy is to wait: reads wait until it is back', async () => {
    await using opened = await openLower({ policy: { kind: 'hang' } })
    let tries = 0
    opened.registry.always = (bytes, request) => (tries++ < 4 ? down(bytes, request) : bytes)
    await expectRight(opened.lower, far, 100)
    expect(opened.lower.counters.retries).toBe(4)
    expectTurns(opened.states)
  })

  test('does not have it: reads fail at once', async () => {
    await using opened = await openLower({ policy: { kind: 'hang' } })
    opened.registry.always = () => {
      throw new Problem('REGISTRY_NOT_FOUND', 'no such thing')
    }
    await expect(opened.lower.read(far, 10)).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
  })

  test('is asked by few at a time, and what somebody waits for comes before what is fetched ahead', async () => {
    await using opened = await openLower()
    let [active, most] = [0, 0]
    opened.registry.always = async (bytes) => {
      most = Math.max(most, ++active)
      await new Promise((resolve) => setImmediate(resolve))
      active--
      return bytes
    }
    opened.lower.hint(0, published.lower.length)
    const reads = Array.from({ length: 60 }, (_, at) => expectRight(opened.lower, at * 80_000, 10))
    await Promise.all(reads)
    expect(most).toBeLessThanOrEqual(8)
  })

  test('is asked no more when it is closed, and who still waits is told', async () => {
    const opened = await openLower()
    opened.registry.always = silent
    const told = expect(opened.lower.read(far, 10)).rejects.toMatchObject({ code: 'CANCELLED' })
    await opened[Symbol.asyncDispose]()
    await told
  })
})

/** Down, up, and so on; up in the end. */
function expectTurns(states: readonly string[]): void {
  expect(states.length).toBeGreaterThanOrEqual(2)
  expect(states).toEqual(states.map((_, at) => (at % 2 === 0 ? 'degraded' : 'recovered')))
  expect(states.at(-1)).toBe('recovered')
}

async function read(lower: LazyLower, offset: number): Promise<string> {
  try {
    const bytes = await lower.read(offset, 100)
    return bytes.equals(published.lower.subarray(offset, offset + 100)) ? 'right' : 'wrong'
  } catch {
    return 'failed'
  }
}
