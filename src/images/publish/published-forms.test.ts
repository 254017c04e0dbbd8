import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  type BuiltImage,
  type BuiltRoot,
  buildImage,
  buildIndex,
  buildLayer,
  ociArchive,
} from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { type LowerProfile, parseDigest } from '../../base/index.ts'
import { formatPlatform, parseIndex, parsePlatform, rootfsMembers } from '../../formats/index.ts'
import { makeImages, streamOf } from '../images.testkit.ts'
import type { LowersOptions } from '../open-images.ts'
import { openPulls, type Pulls } from '../pull/pull.testkit.ts'

const layers = [
  buildLayer([
    { path: 'usr/lib/large', content: Buffer.concat([Buffer.alloc(300_000, 'large '), randomBytes(300_000)]) },
    { path: 'usr/lib/noise', content: randomBytes(9000) },
  ]),
  buildLayer([{ path: 'etc/top', content: Buffer.alloc(50_000, 'top ') }]),
]
const image = buildImage({ layers })
const [amd64, arm64, next] = [
  buildImage({ layers, architecture: 'amd64' }),
  buildImage({ layers: layers.slice(1), architecture: 'arm64', variant: 'v8' }),
  buildImage({ layers: layers.slice(0, 1), architecture: 'amd64' }),
]

describe.runIf(needs({ tools: registryTools }))('a publication', () => {
  test.each(['lz4', 'lz4-64k'] as const)(
    'of profile %s: a host that pulls it boots from what it would have built',
    async (profile) => {
      await using place = await openPulls({}, { lowers: lowersOf('plain') })
      await using publisher = await publisherOf(place, image, profile)
      // As the publisher's own host would build it, and said so.
      const asked = profile === 'lz4' ? {} : { profile }
      const published = await publisher.images.publish({ ref: 'app:1', destination: place.ref('app:1'), ...asked })
      expect(published.profile).toBe(profile)
      const built = await readFile((await publisher.images.ensureLower(digestOf(image))).path)

      const { image: pulled } = await place.images.pull({ ref: place.ref('app:1') })
      expect(pulled).toMatchObject({ boot_only: true, lower_profile: profile })
      const lower = await place.images.ensureLower(digestOf(image))
      expect(lower.kind).toEqual({ profile, form: 'whole' })
      expect((await readFile(lower.path)).equals(built)).toBe(true)
      expect((await place.images.verify({ refs: [], repair: false })).findings).toEqual([])
      // What the layers give is the same.
      await place.images.pull({ ref: place.ref('app:1'), withLayers: true })
      expect((await place.images.ensureLower(digestOf(image))).warnings).toEqual([])
      // Published again: the same bytes, of which nothing is sent.
      expect(await publisher.images.publish({ ref: 'app:1', destination: place.ref('app:1'), ...asked })).toMatchObject(
        { digest: published.digest, uploadedBytes: 0 },
      )
    },
  )

  test('that a host’s guests cannot read: the layers come', async () => {
    await using place = await openPulls({}, { lowers: lowersOf('plain', '5.10.0-1-amd64') })
    await using publisher = await publisherOf(place, image, 'lz4-64k')
    await publisher.images.publish({ ref: 'app:1', destination: place.ref('app:1') })
    const { image: pulled } = await place.images.pull({ ref: place.ref('app:1') })
    expect(pulled.boot_only).toBeUndefined()
    expect((await place.images.ensureLower(digestOf(image))).kind.profile).toBe('plain')
  })

  test('of one platform leaves what the tag has for others, whoever came first; each host boots its own', async () => {
    await using place = await openPulls()
    await using publisher = await publisherOf(place, buildIndex([amd64, arm64]), 'plain')
    const publish = (platform: string, ref = 'app:1') =>
      publisher.images.publish({ ref, destination: place.ref('app:1'), platform: parsePlatform(platform) })
    expect((await publish('linux/arm64')).otherPlatforms).toEqual([])
    const both = await publish('linux/amd64')
    expect(both.otherPlatforms.map(formatPlatform)).toEqual(['linux/arm64/v8'])
    expect(await imagesOf(place)).toEqual([amd64.root.digest, arm64.root.digest])
    expect((await publish('linux/arm64/v8')).digest).toBe(both.digest)
    for (const [platform, built] of [
      ['linux/amd64', amd64],
      ['linux/arm64', arm64],
    ] as const) {
      await using host = await makeImages({ registries: place.registries, platform: parsePlatform(platform) })
      expect((await host.images.pull({ ref: place.ref('app:1') })).image).toMatchObject({
        digest: built.root.digest,
        boot_only: true,
      })
    }

    // Another image for one of them: the old one goes, with its rootfs.
    await publisher.images.load({ source: { stream: streamOf(ociArchive([{ image: next, ref: 'next:1' }])) } })
    await publish('linux/amd64', 'next:1')
    expect(await imagesOf(place)).toEqual([next.root.digest, arm64.root.digest])
    expect(rootfsMembers(await indexOf(place))).toHaveLength(2)
    await expect(publish('linux/riscv64')).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
      data: { wanted: 'linux/riscv64', platforms: ['linux/amd64', 'linux/arm64/v8'] },
    })
  })

  test('is listed with its image, for whoever asks what refers to that', async () => {
    await using place = await openPulls()
    await using publisher = await publisherOf(place, image, 'plain')
    const { rootfsDigest } = await publisher.images.publish({ ref: 'app:1', destination: place.ref('app:1') })
    expect((await indexOf(place, image.root.digest.replace(':', '-'))).manifests).toMatchObject([
      { digest: rootfsDigest, artifactType: 'application/vnd.cowshed.rootfs.v1+json' },
    ])
  })
})

function lowersOf(profile: LowerProfile, guestRelease?: string): LowersOptions {
  return { policy: { profile, form: 'whole' }, guestRelease: async () => guestRelease }
}

async function publisherOf(place: Pulls, built: BuiltRoot, profile: LowerProfile) {
  const publisher = await makeImages({ registries: place.registries, lowers: lowersOf(profile) })
  await publisher.images.load({ source: { stream: streamOf(ociArchive([{ image: built, ref: 'app:1' }])) } })
  return publisher
}

async function indexOf({ registries, registry }: Pulls, tag = '1') {
  const repository = registries.repository({ registry: registry.host, path: 'app' })
  return parseIndex((await repository.readManifest(tag)).bytes)
}

async function imagesOf(place: Pulls): Promise<string[]> {
  const { manifests } = await indexOf(place)
  return manifests.filter(({ platform }) => platform?.os !== 'unknown').map(({ digest }) => digest)
}

function digestOf(built: BuiltImage) {
  return parseDigest(built.root.digest)
}
