import { randomBytes } from 'node:crypto'
import { cp, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildImage, buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { runScript } from '../../../test/support/node-script.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type DataLayout, type Digest, dataLayout, parseDigest } from '../../base/index.ts'
import { openBlobStore } from '../../blobs/index.ts'
import { sweepStaging } from '../../host/index.ts'
import { holdLazyDirectory, noteWhole, openLazyLower, readLazyIndex } from '../../lazy/index.ts'
import { makeImages, streamOf, unpackHere } from '../images.testkit.ts'
import type { ImageUser } from '../images-context.ts'
import { openImages } from '../open-images.ts'
import { openPulls, type Pulls } from '../pull/pull.testkit.ts'

const script = new URL('../killed-at-step.testkit.ts', import.meta.url)
const image = buildImage({
  layers: [
    buildLayer([
      { path: 'large', content: randomBytes(600_000) },
      { path: 'zeros', content: Buffer.alloc(500_000) },
    ]),
    buildLayer([{ path: 'small', content: randomBytes(5000) }]),
  ],
})
const manifest = parseDigest(image.root.digest)

describe.runIf(needs({ tools: registryTools }))('a lazy lower that is whole', () => {
  let place: Pulls
  let directory: TemporaryDirectory
  let ref = ''
  let lower: Buffer
  let chunkIndex: Digest
  let hosts = 0

  /** A host that read all of the image in part: each test has a copy of it. */
  beforeAll(async () => {
    place = await openPulls()
    directory = await temporaryDirectory()
    ref = `${place.registry.host}/app:1`
    await using publisher = await makeImages({ registries: place.registries })
    await publisher.images.load({ source: { stream: streamOf(ociArchive([{ image, ref: 'app:1' }])) } })
    await publisher.images.publish({ ref: 'app:1', destination: ref })
    lower = await readFile((await publisher.images.ensureLower(manifest)).path)
    const { lazy } = await place.images.bringLazily(ref)
    if (lazy === undefined) throw new Error('it is here')
    chunkIndex = lazy.chunkIndex
    await fill(place)
    // Runs of zeros are never fetched, and take nothing.
    expect((await stat(place.layout.lazyLower(chunkIndex).data)).blocks * 512).toBeLessThan(lower.length - 300_000)
  })
  afterAll(async () => {
    await directory[Symbol.asyncDispose]()
    await place[Symbol.asyncDispose]()
  })

  async function fill({ layout, registries, registry }: Pulls): Promise<void> {
    const index = await readLazyIndex(layout, chunkIndex)
    if (index === undefined) throw new Error('no chunk index')
    const repository = registries.repository({ registry: registry.host, path: 'app' })
    await using lazy = await openLazyLower({
      index,
      path: layout.lazyLower(chunkIndex).data,
      readStored: (blob) => repository.readBlob(blob),
      policy: { kind: 'hang' },
      listener: { degraded: () => {}, recovered: () => {} },
    })
    await lazy.fill({ signal: new AbortController().signal })
    await lazy.whole
  }

  async function host({ whole = true } = {}) {
    const layout = dataLayout(`${directory.path}/${hosts++}`)
    await cp(place.layout.root, layout.root, { recursive: true })
    if (whole) await noteWhole(layout, chunkIndex)
    const users: ImageUser[] = []
    const blobs = await openBlobStore(layout)
    const images = openImages({ layout, blobs, users: async () => users, unpackLayer: unpackHere })
    return { layout, images, users }
  }

  const bytesOfKept = async (layout: DataLayout) => await readFile(layout.keptLower(manifest)).catch(() => undefined)

  test('becomes the lower of its image by one rename, and needs no registry', async () => {
    const { layout, images } = await host()
    const { data, dir } = layout.lazyLower(chunkIndex)
    await using served = await open(data, 'r+')
    const { ino, blocks } = await served.stat()
    expect(await images.settleLazyLower(chunkIndex)).toBe('kept')
    const kept = await stat(layout.keptLower(manifest))
    expect([kept.ino, kept.mode & 0o777, kept.blocks]).toEqual([ino, 0o444, blocks])
    expect((await images.ensureLower(manifest)).path).toBe(layout.keptLower(manifest))
    expect(await bytesOfKept(layout)).toEqual(lower)
    expect((await images.inspect(ref)).boot_only).toBe(true)
    expect(await images.isHereWhole(manifest, { reference: '', chunkIndex, profile: 'plain' })).toBe(true)
    expect((await images.verify({ refs: [], repair: false })).findings).toEqual([])
    // Whoever serves it reads on, and nothing is left when he does not.
    expect((await served.read(Buffer.alloc(4096), 0, 4096, 0)).buffer).toEqual(lower.subarray(0, 4096))
    expect(await readdir(layout.lazyLowers)).toEqual([])
    expect(dir.startsWith(layout.lazyLowers)).toBe(true)
    expect((await images.remove(ref, { force: false })).untagged).toEqual([ref])
    expect(await readdir(layout.keptLowers)).toEqual([])
  })

  test('stays as long as it is not noted to be whole, or is not', async () => {
    const { layout, images } = await host({ whole: false })
    expect(await images.settleLazyLower(chunkIndex)).toBe('lazy')
    const { data, whole } = layout.lazyLower(chunkIndex)
    const damaged = Buffer.from(lower).fill(1, lower.length - 100)
    await writeFile(data, damaged)
    await noteWhole(layout, chunkIndex)
    expect(await images.settleLazyLower(chunkIndex)).toBe('lazy')
    await expect(stat(whole)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readFile(data)).toEqual(damaged)
    expect(await bytesOfKept(layout)).toBeUndefined()
  })

  test('stays a cache when its image is not here, or is here by another name than that of the publication', async () => {
    const { layout, images } = await host()
    await images.remove(ref, { force: false })
    expect(await images.settleLazyLower(chunkIndex)).toBe('lazy')
    await images.load({ source: { stream: streamOf(ociArchive([{ image, ref: 'app:1' }])) } })
    expect(await images.settleLazyLower(chunkIndex)).toBe('lazy')
    expect(await bytesOfKept(layout)).toBeUndefined()
    expect((await stat(layout.lazyLower(chunkIndex).data)).size).toBe(lower.length)
  })

  test('keeps what says what it is while a guest reads it, or somebody serves it', async () => {
    const { layout, images, users } = await host()
    const { data, record } = layout.lazyLower(chunkIndex)
    users.push({ name: 'web', manifestDigest: manifest, isRunning: true, isLazy: true })
    expect(await images.settleLazyLower(chunkIndex)).toBe('kept')
    users.length = 0
    {
      using _ = await holdLazyDirectory(layout, chunkIndex)
      // One that was opened just before that begins anew: nothing of it is needed.
      await writeFile(data, 'begun')
      expect(await images.settleLazyLower(chunkIndex)).toBe('kept before')
      expect((await stat(record)).isFile()).toBe(true)
    }
    // What was recorded of its boots may be published yet.
    const { traces } = layout.lazyLower(chunkIndex)
    await mkdir(traces)
    expect(await images.settleLazyLower(chunkIndex)).toBe('kept before')
    expect((await stat(record)).isFile()).toBe(true)
    await rm(traces, { recursive: true })
    expect(await images.settleLazyLower(chunkIndex)).toBe('kept before')
    expect(await readdir(layout.lazyLowers)).toEqual([])
    expect(await bytesOfKept(layout)).toEqual(lower)
  })

  test('kill -9 before any step leaves it one or the other, and the next one makes it the lower', async () => {
    const { layout } = await host()
    const { stdout } = await runScript(script, ['-1', 'settle', layout.root, chunkIndex])
    const steps = stdout.trimEnd().split('\n')
    expect(steps).toContain(`rename /lowers/${basename(layout.keptLower(manifest))}`)
    for (const at of steps.keys()) {
      const { layout, images } = await host()
      expect((await runScript(script, [String(at), 'settle', layout.root, chunkIndex])).signal).toBe('SIGKILL')
      await sweepStaging(layout)
      const isKept = (await bytesOfKept(layout)) !== undefined
      if (!isKept) expect(await readFile(layout.lazyLower(chunkIndex).data)).toEqual(lower)
      expect(await images.settleLazyLower(chunkIndex)).toMatch(isKept ? /kept before|lazy/ : /^kept$/)
      expect([steps[at], await bytesOfKept(layout)]).toEqual([steps[at], lower])
      expect((await readdir(layout.lazyLowers)).length).toBeLessThanOrEqual(isKept ? 1 : 0)
    }
  }, 300_000)
})
