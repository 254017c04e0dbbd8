import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { toolsFor, withSmallFilesystem } from '../../../test/support/filesystems.ts'
import { type BuiltImage, buildImage, buildLayer, noise } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { type Digest, dataLayout } from '../../base/index.ts'
import { openBlobStore } from '../../blobs/index.ts'
import { allFiles, sampleImage, unpackHere } from '../images.testkit.ts'
import { type ImagesOptions, openImages } from '../open-images.ts'
import { openPulls, type Pulls } from './pull.testkit.ts'

const big = buildLayer([{ path: 'big', content: noise(4 << 20) }], { compression: 'none' })
const image = buildImage({ layers: [big, buildLayer([{ path: 'small', content: 'small' }])] })
const blobPath = new RegExp(`/blobs/${big.digest}`)

describe.runIf(needs({ tools: registryTools }))('a pull in which', () => {
  test('connections break goes on where they broke', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    for (let reset = 0; reset < 3; reset++) pulls.proxy.fault({ path: blobPath }, { kind: 'reset', after: 1 << 20 })
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    const reads = pulls.blobReads(big.digest)
    expect(reads).toHaveLength(4)
    expect(reads).toEqual([...reads].sort((a, b) => a - b))
    await expectWhole(pulls)
  })

  test('it is stopped leaves what was fetched, which the next one does not fetch again', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    const before = await allFiles(pulls.layout)
    await stopped(pulls)
    const left = (await stat(pulls.layout.partialBlob(big.digest as Digest))).size
    expect(left).toBeGreaterThan(0)
    expect((await allFiles(pulls.layout)).filter((path) => !path.startsWith('downloads/'))).toEqual(before)
    expect(await pulls.images.list()).toEqual([])
    pulls.proxy.clear()
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    expect(pulls.blobReads(big.digest)).toEqual([left])
    await expectWhole(pulls)
  })

  test('what an earlier one left is wrong begins that blob anew', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    await mkdir(pulls.layout.downloads)
    await writeFile(pulls.layout.partialBlob(big.digest as Digest), Buffer.alloc(100_000, 'x'))
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    expect(pulls.blobReads(big.digest)).toEqual([100_000, 0])
    await expectWhole(pulls)
  })

  test('a byte is wrong fetches that blob again', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    pulls.proxy.fault({ path: blobPath }, { kind: 'corrupt', at: 2 << 20 })
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    expect(pulls.blobReads(big.digest)).toEqual([0, 0])
    await expectWhole(pulls)
  })

  test('a byte is wrong again and again fails, and keeps nothing of that blob', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    const before = await allFiles(pulls.layout)
    pulls.proxy.fault({ path: blobPath, times: 9 }, { kind: 'corrupt', at: 2 << 20 })
    await expect(pulls.images.pull({ ref: pulls.ref('app:1') })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    const left = await allFiles(pulls.layout)
    expect(left).not.toContain(`downloads/${big.digest.replace(':', '-')}.partial`)
    expect(left.filter((path) => !path.startsWith('downloads/'))).toEqual(before)
  })

  test('a blob ends too soon goes on where it ended', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    pulls.proxy.fault({ path: blobPath }, { kind: 'short', after: 1 << 20 })
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    expect(pulls.blobReads(big.digest)).toEqual([0, 1 << 20])
    await expectWhole(pulls)
  })

  test('a blob goes on after its end is refused', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    pulls.proxy.fault({ path: blobPath }, { kind: 'long', extra: 10 })
    await expect(pulls.images.pull({ ref: pulls.ref('app:1') })).rejects.toMatchObject({ code: 'SIZE_MISMATCH' })
    expect(await pulls.images.list()).toEqual([])
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    await expectWhole(pulls)
  })

  test('the token runs out gets another, in the middle of a blob', async () => {
    await using pulls = await openPulls({ auth: 'token' })
    await pulls.publish(image)
    pulls.proxy.fault({ path: blobPath }, { kind: 'reset', after: 1 << 20 })
    pulls.proxy.fault({ path: blobPath }, { kind: 'answer', status: 401, headers: await challengeOf(pulls) })
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    await expectWhole(pulls)
  })

  test('one of the layers fails stops the others', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    pulls.proxy.fault({ path: blobPath, times: 9 }, { kind: 'trickle', bytesPerSecond: 50_000 })
    const small = new RegExp(`/blobs/${image.layers[1]?.digest}`)
    pulls.proxy.fault({ path: small, times: 9 }, { kind: 'answer', status: 404, body: '{}' })
    await expect(pulls.images.pull({ ref: pulls.ref('app:1') })).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
    expect(await readdir(pulls.layout.staging)).toEqual([])
  })
})

describe.runIf(needs({ tools: registryTools }))('two pulls at the same time', () => {
  test('of one image fetch it once', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    pulls.proxy.network.bytesPerSecond = 8 << 20
    const both = await Promise.all([1, 2].map(() => pulls.images.pull({ ref: pulls.ref('app:1') })))
    expect(both.map((pulled) => pulled.image.digest)).toEqual([image.root.digest, image.root.digest])
    expect(pulls.blobReads(big.digest)).toEqual([0])
    await expectWhole(pulls)
  })

  test('of one image both have it, though one is far behind', async () => {
    const gates: Gate[] = []
    const behind: ImagesOptions['unpackLayer'] = async (layer) => {
      if (layer.growing !== undefined) await new Promise<void>((open) => gates.push({ open }))
      return await unpackHere(layer)
    }
    await using pulls = await openPulls({}, { unpackLayer: behind })
    const single = buildImage({ layers: [buildLayer([{ path: 'small', content: 'small' }])] })
    await pulls.publish(single)
    const pullings: Promise<unknown>[] = []
    for (const number of [1, 2]) {
      pullings.push(pulls.images.pull({ ref: pulls.ref('app:1') }))
      while (gates.length < number) await setTimeout(5)
    }
    // The second has found nothing in the store, and what it has fetched is installed by the first.
    for (const [at, gate] of gates.entries()) {
      gate.open()
      await pullings[at]
    }
    await expectWhole(pulls, single)
  })

  test('go on when the first of them is stopped', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    pulls.proxy.network.bytesPerSecond = 4 << 20
    const controller = new AbortController()
    const first = pulls.images.pull({ ref: pulls.ref('app:1'), signal: controller.signal })
    const failing = expect(first).rejects.toMatchObject({ code: 'CANCELLED' })
    await untilFetched(pulls)
    let second: Promise<unknown> = Promise.resolve()
    await new Promise<void>((joined) => {
      const item = big.digest.slice(7, 19)
      second = pulls.images.pull({
        ref: pulls.ref('app:1'),
        onProgress: (progress) => progress.item === item && progress.done > 0 && joined(),
      })
    })
    controller.abort()
    await failing
    await second
    expect(pulls.blobReads(big.digest)).toEqual([0])
    await expectWhole(pulls)
  })
})

describe.runIf(needs({ tools: registryTools }))('while a pull is at it', () => {
  test('an image that shares its layers can be removed, and what a prune would take of it stays', async () => {
    await using pulls = await openPulls()
    const base = sampleImage('base')
    const app = buildImage({ layers: [...base.layers, big] })
    await pulls.publish(base, 'base:1')
    await pulls.publish(app, 'app:1')
    await pulls.images.pull({ ref: pulls.ref('base:1') })
    pulls.proxy.network.bytesPerSecond = 4 << 20
    const pulling = pulls.images.pull({ ref: pulls.ref('app:1') })
    await untilFetched(pulls)
    await pulls.images.remove(pulls.ref('base:1'), { force: false })
    expect(pulls.images.dropDownload(big.digest as Digest)).toBe(false)
    await pulling
    expect((await pulls.images.list()).map(({ tags }) => tags)).toEqual([[pulls.ref('app:1')]])
    await expectWhole(pulls, app)
  })

  test('what it left can be dropped when it is over', async () => {
    await using pulls = await openPulls()
    await pulls.publish(image)
    await stopped(pulls)
    expect(pulls.images.dropDownload(big.digest as Digest)).toBe(true)
    expect(await readdir(pulls.layout.downloads)).not.toContain(`${big.digest.replace(':', '-')}.partial`)
  })
})

describe.runIf(needs({ root: true, tools: [...registryTools, ...toolsFor('ext4')] }))('a full disk', () => {
  test('in a pull is NO_SPACE, and leaves the store and the space as they were', async () => {
    const large = buildImage({
      layers: [buildLayer([{ path: 'large', content: noise(24 << 20) }], { compression: 'none' })],
    })
    await using pulls = await openPulls()
    await pulls.publish(large)
    // 20 MiB are too small for the blob, 36 MiB for the blob and its unpacked layer.
    for (const size of [20, 36]) {
      await withSmallFilesystem('ext4', size << 20, async (directory) => {
        const layout = dataLayout(`${directory}/data`)
        const blobs = await openBlobStore(layout)
        const { registries } = pulls
        const images = openImages({ layout, blobs, registries, users: async () => [], unpackLayer: unpackHere })
        const before = await allFiles(layout)
        await expect(images.pull({ ref: pulls.ref('app:1') })).rejects.toMatchObject({ code: 'NO_SPACE' })
        expect(await allFiles(layout)).toEqual(before)
        expect(await images.list()).toEqual([])
      })
    }
  })
})

interface Gate {
  readonly open: () => void
}

/** Pulls, and stops when some of the big layer is there. */
async function stopped(pulls: Pulls): Promise<void> {
  pulls.proxy.fault({ path: blobPath }, { kind: 'trickle', bytesPerSecond: 2 << 20 })
  const controller = new AbortController()
  const pulling = pulls.images.pull({ ref: pulls.ref('app:1'), signal: controller.signal })
  const failing = expect(pulling).rejects.toMatchObject({ code: 'CANCELLED' })
  await untilFetched(pulls)
  controller.abort()
  await failing
}

/** Until there is something of the big layer. */
async function untilFetched({ layout }: Pulls): Promise<void> {
  const path = layout.partialBlob(big.digest as Digest)
  while ((await stat(path).catch(() => ({ size: 0 }))).size < 200_000) await setTimeout(5)
}

async function expectWhole({ images, blobs, layout }: Pulls, expected: BuiltImage = image): Promise<void> {
  const names = (await images.list()).map(({ digest }) => digest)
  expect(names).toContain(expected.root.digest)
  for (const [digest, content] of expected.blobs) {
    expect((await readFile(blobs.path(digest as Digest))).equals(content)).toBe(true)
  }
  expect(await readdir(layout.downloads)).toEqual([])
  expect(await readdir(layout.staging)).toEqual([])
}

/** What the registry itself says to whoever has no token. */
async function challengeOf(pulls: Pulls): Promise<Record<string, string>> {
  const reply = await fetch(`${pulls.registry.url}/v2/app/manifests/1`)
  return { 'www-authenticate': reply.headers.get('www-authenticate') ?? '' }
}
