import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dice } from '../../test/support/dice.ts'
import { firstLine, killScript, startScript } from '../../test/support/node-script.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { leafBytes } from '../formats/index.ts'
import { PassingProblem } from '../wires/index.ts'
import { type LazyLower, openLazyLower } from './index.ts'
import { FakeRegistry, type PublishedLower, publishedLower } from './published.testkit.ts'

/** Each lower has the file open by itself: to the kernel's locks that is another process. */
describe('a cache that many read at the same time', () => {
  let published: PublishedLower
  let directory: TemporaryDirectory
  let files = 0

  beforeAll(async () => {
    published = await publishedLower()
    directory = await temporaryDirectory()
  })
  afterAll(() => directory[Symbol.asyncDispose]())

  const newPath = () => join(directory.path, `${files++}`)

  async function openLower(path: string, registry: FakeRegistry): Promise<LazyLower> {
    return await openLazyLower({
      ...{ index: published.index, path, readStored: registry.read },
      policy: { kind: 'fail', afterMs: 60_000 },
      listener: { degraded: () => {}, recovered: () => {} },
    })
  }

  async function expectRight(lower: LazyLower, leaf: number): Promise<void> {
    const right = published.lower.subarray(leaf * leafBytes, (leaf + 1) * leafBytes)
    expect((await lower.read(leaf * leafBytes, right.length)).equals(right), `leaf ${leaf}`).toBe(true)
  }

  const leaves = () => Array.from({ length: Math.ceil(published.lower.length / leafBytes) }, (_, leaf) => leaf)

  async function withMany(count: number, registry: FakeRegistry, use: (lowers: LazyLower[]) => Promise<void>) {
    const path = newPath()
    const lowers = await Promise.all(Array.from({ length: count }, async () => await openLower(path, registry)))
    try {
      await use(lowers)
      return { path, fetched: lowers.reduce((sum, { counters }) => sum + counters.fetchedBytes, 0) }
    } finally {
      for (const lower of lowers) await lower[Symbol.asyncDispose]()
    }
  }

  test('is fetched once by fifty, each of which reads all of it in an order of its own', async () => {
    const throwDice = dice('fifty')
    const { path, fetched } = await withMany(50, new FakeRegistry(published), async (lowers) => {
      await Promise.all(
        lowers.map(async (lower) => {
          const order = leaves().map((leaf) => ({ leaf, at: throwDice(1_000_000) }))
          for (const { leaf } of order.sort((a, b) => a.at - b.at)) await expectRight(lower, leaf)
        }),
      )
    })
    expect(fetched).toBeLessThanOrEqual(published.lower.length)
    expect((await readFile(path)).equals(published.lower)).toBe(true)
  })

  test('is filled once by many who all want all of it, though the registry fails again and again', async () => {
    const throwDice = dice('fails')
    const registry = new FakeRegistry(published)
    registry.always = (bytes) => {
      if (throwDice(3) > 0) return bytes
      throw new PassingProblem('REGISTRY_UNREACHABLE', 'nobody answers', { retryAfterMs: 1 })
    }
    const signal = new AbortController().signal
    const { path, fetched } = await withMany(8, registry, async (lowers) => {
      await Promise.all(lowers.map((lower) => lower.fill({ signal })))
      for (const lower of lowers) expect(lower.leaves.missing).toBe(0)
    })
    expect(fetched).toBeLessThanOrEqual(published.lower.length)
    expect((await readFile(path)).equals(published.lower)).toBe(true)
  })

  /** Another process that has asked for a leaf, and gets no answer. */
  async function whileFetched(
    leaf: number,
    use: (lower: LazyLower, registry: FakeRegistry, other: Other) => Promise<void>,
  ) {
    const path = newPath()
    const registry = new FakeRegistry(published)
    await using lower = await openLower(path, registry)
    const other = await startScript(new URL('./read-silent.testkit.ts', import.meta.url), [path, String(leaf)])
    try {
      await firstLine(other)
      await use(lower, registry, other)
    } finally {
      await killScript(other)
    }
  }

  test('is waited for while another process fetches it, and fetched at once when that is killed', async () => {
    await whileFetched(50, async (lower, registry, other) => {
      const before = registry.requests.length
      const reading = [50, 52, 51].map((leaf) => expectRight(lower, leaf))
      // Another leaf is nobody's.
      await expectRight(lower, 30)
      const asked = registry.requests.length
      expect(asked).toBeGreaterThan(before)
      for (let look = 0; look < 20; look++) await sleep(1)
      expect(registry.requests.length).toBe(asked)
      await killScript(other)
      await Promise.all(reading)
    })
  })

  test('is fetched by who wants it, when the process that has begun gets no further', async () => {
    await whileFetched(50, async (lower, _, other) => {
      other.kill('SIGSTOP')
      await expectRight(lower, 50)
    })
  })
})

type Other = Awaited<ReturnType<typeof startScript>>
