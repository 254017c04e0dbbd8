import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { type DataLayout, parseDigest } from '../../base/index.ts'
import { openBlobStore } from '../../blobs/index.ts'
import { openImages } from '../../images/index.ts'
import { lazyUses, listLazyLowers, removeLazyLower } from '../../lazy/index.ts'
import { image, openPublished, type Published } from './published-image.testkit.ts'

describe.runIf(needs({ tools: registryTools }))('a published image', () => {
  let published: Published
  let pulls: Published['pulls']
  let lower: Buffer

  beforeAll(async () => {
    published = await openPublished()
    ;({ pulls, lower } = published)
  })
  afterAll(() => published[Symbol.asyncDispose]())
  beforeEach(() => pulls.proxy.clear())

  const newHost = () => published.newHost()
  const attach: Published['attach'] = (...how) => published.attach(...how)
  const expectRight: Published['expectRight'] = (...what) => published.expectRight(...what)

  test('is read without being pulled, by ranges, and by nobody a second time', async () => {
    const layout = newHost()
    {
      await using attached = await attach(layout)
      await expectRight(attached, 1_500_000, 1000)
      const ranges = pulls.proxy.requests.flatMap(({ path, headers }) =>
        path.includes('/blobs/') ? [headers.range] : [],
      )
      expect(ranges.at(-1)).toMatch(/^bytes=[1-9]\d*-\d+$/)
      expect(attached.lower.counters.requestedBytes).toBeLessThan(lower.length)
      await expectRight(attached)
    }
    pulls.proxy.clear()
    await using again = await attach(layout)
    await expectRight(again)
    expect(again.lower.counters).toMatchObject({ requests: 0, misses: 0, damagedLeaves: 0 })
  })

  test('is found with two documents: the index has the third', async () => {
    await using _ = await attach(newHost())
    const documents = pulls.proxy.requests.filter(({ path }) => path.includes('/manifests/'))
    expect(documents.map(({ method, path }) => [method, path.includes('sha256:')])).toEqual([
      ['GET', false],
      ['GET', true],
    ])
  })

  test('has its bootstrap asked for, to the end of its last leaf, while its chunk index is on its way, and neither when they are here', async () => {
    const layout = newHost()
    const wholeBlobs = () =>
      pulls.proxy.requests.flatMap(({ path, headers }) =>
        headers.range === undefined ? (/blobs\/(sha256:\w+)$/.exec(path)?.[1] ?? []) : [],
      )
    const first = await attach(layout)
    await first[Symbol.asyncDispose]()
    const { chunkIndex } = first
    const [bootstrap, ...others] = wholeBlobs().filter((digest) => digest !== chunkIndex)
    expect([wholeBlobs().length, others]).toEqual([2, []])
    pulls.proxy.clear()
    await (await attach(layout))[Symbol.asyncDispose]()
    expect(wholeBlobs()).toEqual([])
    const [layer] = first.source.data
    pulls.proxy.fault({ path: new RegExp(chunkIndex) }, { kind: 'stall', after: 0 })
    const stopping = new AbortController()
    const attaching = attach(newHost(), { signal: stopping.signal })
    attaching.catch(() => {})
    await expect.poll(wholeBlobs, { timeout: 60_000 }).toContain(bootstrap)
    // In the last leaf of the bootstrap is the beginning of a layer.
    const ofLayer = () =>
      pulls.proxy.requests.flatMap(({ path, headers }) => (path.includes(layer?.digest ?? '-') ? [headers.range] : []))
    await expect.poll(ofLayer, { timeout: 60_000 }).toEqual(['bytes=0-131071'])
    stopping.abort()
    await expect(attaching).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  test('is served by a host that saw it once, with the registry dead: what it has, and an error for what it has not', async () => {
    const layout = newHost()
    {
      await using attached = await attach(layout)
      await expectRight(attached, 1_000_000, 1000)
    }
    pulls.proxy.fault({ times: 1_000 }, { kind: 'reset', after: 0 })
    await using attached = await attach(layout, { policy: { kind: 'fail', afterMs: 100 } })
    expect(attached.notices).toEqual([expect.stringContaining('stood for the last time is served')])
    await expectRight(attached, 1_000_000, 1000)
    await expect(attached.lower.read(0, lower.length)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
    await expect(attach(newHost())).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
  })

  test('is known by its chunk index where some of it is here, and nobody is asked what it is', async () => {
    const layout = newHost()
    const first = await attach(layout)
    const { chunkIndex } = first
    await first[Symbol.asyncDispose]()
    pulls.proxy.clear()
    await using again = await attach(layout, { reference: chunkIndex })
    expect([again.chunkIndex, again.source.reference]).toEqual([chunkIndex, pulls.ref('team/app:1')])
    expect(pulls.proxy.requests.filter(({ path }) => path.includes('/manifests/'))).toEqual([])
    const nothing = attach(newHost(), { reference: chunkIndex })
    await expect(nothing).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND', hint: expect.stringContaining('lazy ls') })
  })

  test('is not fetched as far as another that is read in part has the same: only its own', async () => {
    const layout = newHost()
    const shared = new Set<string>()
    {
      await using attached = await attach(layout)
      for (const { digest } of attached.source.data) shared.add(digest)
      await expectRight(attached, 0, 1_000_000)
    }
    const blobReads = () =>
      pulls.proxy.requests.flatMap(({ method, path }) => (method === 'GET' ? /sha256:\w+$/.exec(path) : null) ?? [])
    pulls.proxy.clear()
    {
      // Some of it is there, and the rest is not.
      await using sibling = await attach(layout, { reference: pulls.ref('team/app:2') })
      const { length } = published.siblingLower
      expect((await sibling.lower.read(0, length)).equals(published.siblingLower)).toBe(true)
      const { hostBytes, fetchedBytes, wrongLeaves } = sibling.lower.counters
      expect([hostBytes > 800_000, fetchedBytes < length - 800_000, wrongLeaves]).toEqual([true, true, 0])
    }
    // All that the two have in common is there by now.
    pulls.proxy.clear()
    await using attached = await attach(layout)
    await expectRight(attached)
    const { requests, fetchedBytes } = attached.lower.counters
    const own = attached.source.data.at(-1)
    expect([requests > 0, fetchedBytes <= (own?.lower_bytes ?? 0)]).toEqual([true, true])
    expect(new Set(blobReads().filter((digest) => shared.has(digest)))).toEqual(new Set([own?.digest]))
  })

  test('is read from its lower once that is here whole, mended where that is damaged, and nothing is kept twice', async () => {
    const layout = newHost()
    const attached = await attach(layout)
    await attached.lower.fill({ signal: new AbortController().signal })
    await attached.whole
    const { chunkIndex } = attached
    expect((await readFile(layout.lazyLower(chunkIndex).whole)).length).toBe(0)
    const images = openImages({
      layout,
      blobs: await openBlobStore(layout),
      users: async () => [],
      registries: pulls.registries,
    })
    await images.bringLazily(pulls.ref('team/app:1'))
    expect(await images.settleLazyLower(chunkIndex)).toBe('kept')
    // Who has it open goes on.
    await expectRight(attached)
    await attached[Symbol.asyncDispose]()
    const kept = layout.keptLower(parseDigest(image.root.digest))
    const damaged = Buffer.from(lower).fill(7, 1_000_000, 1_000_010)
    await chmod(kept, 0o644)
    await writeFile(kept, damaged)
    pulls.proxy.clear()
    await using again = await attach(layout, { reference: chunkIndex })
    await expectRight(again)
    expect(again.lower.counters).toMatchObject({ damagedLeaves: 1, wrongLeaves: 0 })
    await again.lower.fill({ signal: new AbortController().signal })
    expect(again.lower.leaves.missing).toBe(1)
    expect(await readdir(layout.lazyLower(chunkIndex).dir)).not.toContain('data')
    expect(await readFile(kept)).toEqual(damaged)
  })

  test('is not fetched where its layers are: only what its bootstrap takes', async () => {
    await using attached = await attach(pulls.layout)
    await expectRight(attached)
    const { hostBytes, fetchedBytes, wrongLeaves } = attached.lower.counters
    expect([wrongLeaves, fetchedBytes < 64 * 1024, hostBytes > 2_500_000]).toEqual([0, true, true])
  })

  test('has what a boot read before the next one reads it: on this host, and, once that is published, on any', async () => {
    const reads = [2_000_000, 900_000, lower.length - 100_000]
    const boot = async (layout: DataLayout, trace: string) => {
      await using attached = await attach(layout, { trace })
      for (const offset of reads) await expectRight(attached, offset, 5000)
      return attached
    }
    const layout = newHost()
    const { chunkIndex } = await boot(layout, 'web')
    const files = [layout.bootTrace(chunkIndex, 'web')]
    // Again on a host that has lost all but its trace.
    await rm(layout.lazyLower(chunkIndex).data)
    await expectAhead(layout)
    const again = await pulls.images.publish({ ref: 'app:1', destination: pulls.ref('team/app:1'), traces: files })
    expect(again.traces).toContain('web')
    const other = newHost()
    await expectAhead(other)
    expect(await readdir(other.lazyLower(chunkIndex).dir)).not.toContain('traces')
    // What was published under another name is not it.
    await boot(other, 'other')
    expect(await readdir(other.lazyLower(chunkIndex).traces)).toEqual(['other'])

    async function expectAhead(host: DataLayout): Promise<void> {
      await using attached = await attach(host, { trace: 'web' })
      const { data } = host.lazyLower(chunkIndex)
      const cameAt = async (offset: number) =>
        (await readFile(data)).subarray(offset, offset + 5000).equals(lower.subarray(offset, offset + 5000))
      for (const offset of reads) await expect.poll(() => cameAt(offset), { timeout: 60_000 }).toBe(true)
      expect(attached.lower.counters.misses).toBe(0)
    }
  })

  test('goes when nobody serves it', async () => {
    const layout = newHost()
    const attached = await attach(layout)
    const [known] = await listLazyLowers(layout)
    if (known === undefined) throw new Error('it is not listed')
    const { chunkIndex } = known
    expect(known.source.manifest_digest).toBe(image.root.digest)
    expect(await lazyUses(layout)).toEqual([{ ...known, isOpen: true }])
    expect(await removeLazyLower(layout, chunkIndex)).toBe(false)
    await attached[Symbol.asyncDispose]()
    expect(await removeLazyLower(layout, chunkIndex)).toBe(true)
    expect(await lazyUses(layout)).toEqual([])
    expect(await removeLazyLower(layout, chunkIndex)).toBe(true)
  })

  test('is one that was published: any other can only be pulled', async () => {
    await pulls.publish(image, 'plain:1')
    await expect(attach(newHost(), { reference: pulls.ref('plain:1') })).rejects.toMatchObject({
      code: 'IMAGE_UNSUPPORTED',
      hint: expect.stringContaining('cowshed image publish'),
    })
  })

  test('is found by its record only when that is whole', async () => {
    const layout = newHost()
    await (await attach(layout))[Symbol.asyncDispose]()
    const [known] = await listLazyLowers(layout)
    if (known === undefined) throw new Error('it is not listed')
    const { chunks, record } = layout.lazyLower(known.chunkIndex)
    await writeFile(chunks, 'damaged')
    pulls.proxy.fault({ times: 1_000 }, { kind: 'reset', after: 0 })
    await expect(attach(layout)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
    pulls.proxy.clear()
    await writeFile(record, '{')
    await using attached = await attach(layout)
    await expectRight(attached)
  })
})
