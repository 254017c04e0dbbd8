import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { buildImage, buildIndex, buildLayer, hostArchitecture, noise } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { type Digest, Problem } from '../../base/index.ts'
import { allFiles, sampleImage } from '../images.testkit.ts'
import { hasLayerFiles } from '../lowers/unpack-layer.ts'
import { openPulls } from './pull.testkit.ts'

const other = hostArchitecture() === 'amd64' ? 'arm64' : 'amd64'

describe.runIf(needs({ tools: registryTools }))('a pull', () => {
  test.each([
    ['gzip', 'oci'],
    ['zstd', 'oci'],
    ['none', 'oci'],
    ['gzip', 'docker'],
  ] as const)('brings %s layers of %s types byte for byte, verified and unpacked', async (compression, family) => {
    await using pulls = await openPulls()
    const image = sampleImage('app', { image: { family }, layer: { compression } })
    await pulls.publish(image)
    const progress = new Set<string>()
    const { image: pulled, outcome } = await pulls.images.pull({
      ref: pulls.ref('app:1'),
      onProgress: ({ phase, item }) => progress.add(`${phase} ${item}`),
    })
    expect(outcome).toBe('pulled')
    expect(pulled).toMatchObject({ digest: image.root.digest, tags: [pulls.ref('app:1')], layers: 2 })
    for (const [digest, content] of image.blobs) {
      expect(await readFile(pulls.layout.blob(digest as Digest))).toEqual(content)
    }
    for (const { diffId, digest } of image.layers) {
      expect(await hasLayerFiles(pulls.layout, diffId as Digest)).toBe(true)
      expect(progress).toContain(`download ${digest.slice(7, 19)}`)
    }
    expect(await readdir(pulls.layout.downloads)).toEqual([])
    expect(await readdir(pulls.layout.staging)).toEqual([])
  })

  test('of what is here is one question to the registry, and says so', async () => {
    await using pulls = await openPulls()
    await pulls.publish(sampleImage())
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    const index = await readFile(pulls.layout.imageIndex, 'utf8')
    pulls.proxy.clear()
    expect((await pulls.images.pull({ ref: pulls.ref('app:1') })).outcome).toBe('unchanged')
    expect(pulls.proxy.requests.map(({ method }) => method)).toEqual(['HEAD'])
    expect(await readFile(pulls.layout.imageIndex, 'utf8')).toBe(index)
  })

  test('fetches only what the store does not have, and repairs what is damaged there', async () => {
    await using pulls = await openPulls()
    const base = sampleImage('base')
    const app = buildImage({ layers: [...base.layers, buildLayer([{ path: 'app', content: noise(5000) }])] })
    await pulls.publish(base, 'base:1')
    await pulls.publish(app, 'app:1')
    await pulls.images.pull({ ref: pulls.ref('base:1') })
    const [first, second] = base.layers
    await pulls.damage(second?.digest as Digest)
    pulls.proxy.clear()
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    expect(pulls.blobReads(first?.digest ?? '')).toEqual([])
    expect(pulls.blobReads(second?.digest ?? '')).toEqual([0])
    for (const layer of app.layers)
      expect(await pulls.blobs.isIntact(layer.digest as Digest, layer.blob.length)).toBe(true)
  })

  test('moves a tag when the registry has moved it; the old image stays without a name', async () => {
    await using pulls = await openPulls()
    const [old, fresh] = [sampleImage('old'), sampleImage('new')]
    await pulls.publish(old)
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    await pulls.publish(fresh)
    await pulls.images.pull({ ref: pulls.ref('app:1') })
    const images = await pulls.images.list()
    expect(images.map(({ digest, tags }) => [digest, tags])).toEqual([
      [old.root.digest, []],
      [fresh.root.digest, [pulls.ref('app:1')]],
    ])
  })

  test('by digest gets that image, with the tag as its name when there is one', async () => {
    await using pulls = await openPulls()
    const [image, moved] = [sampleImage('one'), sampleImage('two')]
    await pulls.publish(image)
    await pulls.publish(moved)
    const byDigest = pulls.ref(`app@${image.root.digest}`)
    expect((await pulls.images.pull({ ref: byDigest })).image).toMatchObject({ digest: image.root.digest, tags: [] })
    expect((await pulls.images.resolve(byDigest)).manifestDigest).toBe(image.root.digest)
    const named = await pulls.images.pull({ ref: pulls.ref(`app:mine@${image.root.digest}`) })
    expect(named).toMatchObject({ outcome: 'unchanged', image: { tags: [pulls.ref('app:mine')] } })
  })

  test('of what is not there, or no image, changes nothing', async () => {
    await using pulls = await openPulls()
    await pulls.publish(buildImage({ manifestExtra: { config: await emptyConfig(pulls) } }), 'chart:1')
    const before = await allFiles(pulls.layout)
    await expect(pulls.images.pull({ ref: pulls.ref('app:absent') })).rejects.toMatchObject({
      code: 'REGISTRY_NOT_FOUND',
    })
    await expect(pulls.images.pull({ ref: pulls.ref('chart:1') })).rejects.toMatchObject({ code: 'IMAGE_UNSUPPORTED' })
    expect(await allFiles(pulls.layout)).toEqual(before)
  })

  test('of a layer that is not what the config says is refused when all of it is here', async () => {
    await using pulls = await openPulls()
    const [layer, wrong] = [buildLayer([{ path: 'a', content: 'a' }]), buildLayer([{ path: 'b', content: 'b' }])]
    const image = buildImage({
      layers: [layer],
      configExtra: { rootfs: { type: 'layers', diff_ids: [wrong.diffId] } },
    })
    await pulls.publish(image)
    const before = await allFiles(pulls.layout)
    await expect(pulls.images.pull({ ref: pulls.ref('app:1') })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    const left = (await allFiles(pulls.layout)).filter((path) => !path.startsWith('downloads/'))
    expect(left).toEqual(before)
  })
})

describe.runIf(needs({ tools: registryTools }))('an index', () => {
  const [here, there] = [sampleImage('here'), sampleImage('there', { image: { architecture: other } })]
  const index = buildIndex([there, here])

  test('gives this platform’s image alone; the next pull knows that nothing has changed', async () => {
    await using pulls = await openPulls()
    await publishIndex(pulls)
    const { image } = await pulls.images.pull({ ref: pulls.ref('app:1') })
    expect(image).toMatchObject({ digest: here.root.digest, platform: `linux/${hostArchitecture()}` })
    pulls.proxy.clear()
    expect((await pulls.images.pull({ ref: pulls.ref('app:1') })).outcome).toBe('unchanged')
    expect(pulls.proxy.requests).toHaveLength(1)
    // Also by the digest that everybody else knows it by.
    const resolved = await pulls.images.resolve(pulls.ref(`app@${index.root.digest}`))
    expect(resolved.manifestDigest).toBe(here.root.digest)
  })

  test('gives another platform’s on request, and is itself kept once the store has all of it', async () => {
    await using pulls = await openPulls()
    await publishIndex(pulls)
    const platform = { os: 'linux', architecture: other }
    const foreign = await pulls.images.pull({ ref: pulls.ref('app:1'), platform })
    expect(foreign.image.digest).toBe(there.root.digest)
    const both = await pulls.images.pull({ ref: pulls.ref('app:1') })
    expect(both.image).toMatchObject({ digest: index.root.digest, tags: [pulls.ref('app:1')] })
    expect(both.image.manifest_digest).toBe(here.root.digest)
  })

  test('without this platform says what there is', async () => {
    await using pulls = await openPulls()
    await publishIndex(pulls)
    const platform = { os: 'linux', architecture: 's390x' }
    await expect(pulls.images.pull({ ref: pulls.ref('app:1'), platform })).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
    })
  })

  async function publishIndex(pulls: Awaited<ReturnType<typeof openPulls>>): Promise<void> {
    for (const member of [there, here]) await pulls.publishMember(member)
    await pulls.publishDocument(index, 'app:1')
  }
})

describe.runIf(needs({ tools: registryTools }))('an image that is not here', () => {
  test('is obtained by pulling it, once', async () => {
    await using pulls = await openPulls()
    const image = sampleImage()
    await pulls.publish(image)
    const first = await pulls.images.obtain(pulls.ref('app:1'))
    expect([first.image.manifestDigest, first.pulled?.outcome]).toEqual([image.root.digest, 'pulled'])
    pulls.proxy.clear()
    expect((await pulls.images.obtain(pulls.ref('app:1'))).pulled).toBeUndefined()
    expect(pulls.proxy.requests).toEqual([])
  })

  test('nor in the registry says both', async () => {
    await using pulls = await openPulls()
    const error = await pulls.images.obtain(pulls.ref('app:absent')).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Problem)
    expect(error).toMatchObject({ code: 'REGISTRY_NOT_FOUND', message: expect.stringContaining('is not here') })
  })

  test('and named by a digest alone is not looked for anywhere', async () => {
    await using pulls = await openPulls()
    await expect(pulls.images.obtain('sha256:0123456789ab')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
    expect(pulls.proxy.requests).toEqual([])
  })
})

async function emptyConfig(pulls: Awaited<ReturnType<typeof openPulls>>) {
  const content = Buffer.from('{}')
  await pulls.uploadBytes(content, 'chart')
  const digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'
  return { mediaType: 'application/vnd.example.chart+json', digest, size: content.length }
}
