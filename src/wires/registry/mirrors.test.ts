import { describe, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../../../test/support/fault-proxy.ts'
import { buildImage } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools, startRegistry } from '../../../test/support/registry.ts'
import { digestOf } from '../../base/index.ts'
import { openRegistries, type Repository } from './index.ts'
import { collect, keystream, pushImage, quickPatience, uploadBytes } from './registry.testkit.ts'

const blob = keystream(500_000)
const request = { digest: digestOf(blob), size: blob.length }
const image = buildImage()

describe.runIf(needs({ tools: registryTools }))('mirrors', () => {
  test('serve what has a digest; what a tag stands for, the registry says', async () => {
    await using pair = await startPair()
    await pair.fill(pair.mirrorSide)
    await pair.fill(pair.homeSide)
    expect((await collect(pair.repository.readBlob(request))).equals(blob)).toBe(true)
    expect((await pair.repository.readManifest(image.root.digest)).descriptor).toEqual(image.root)
    expect(await pair.repository.resolve(image.root.digest)).toEqual(image.root)
    expect(pair.home.requests).toEqual([])
    expect(pair.mirror.requests.every(({ path }) => path.startsWith('/v2/copies/of/team/app/'))).toBe(true)
    pair.mirror.clear()
    expect((await pair.repository.readManifest('v1')).descriptor).toEqual(image.root)
    expect(await collect(pair.repository.listTags())).toEqual(['v1'])
    expect(pair.mirror.requests).toEqual([])
  })

  test('that lack something are passed over for it', async () => {
    await using pair = await startPair()
    await pair.fill(pair.homeSide)
    expect((await collect(pair.repository.readBlob(request))).equals(blob)).toBe(true)
    expect((await pair.repository.readManifest(image.root.digest)).descriptor).toEqual(image.root)
    expect(pair.mirror.requests).toHaveLength(2)
  })

  test('that break off in the middle are gone on from', async () => {
    await using pair = await startPair()
    await pair.fill(pair.mirrorSide)
    await pair.fill(pair.homeSide)
    pair.mirror.fault({ times: 9 }, { kind: 'reset', after: 200_000 })
    pair.mirror.fault({ times: 9 }, { kind: 'answer', status: 503 })
    pair.mirror.fault({ times: 9 }, { kind: 'reset', after: 1000 })
    expect((await collect(pair.repository.readBlob(request))).equals(blob)).toBe(true)
  })

  test('whose documents are wrong are passed over, and rest a while', async () => {
    await using pair = await startPair()
    await pair.fill(pair.mirrorSide)
    await pair.fill(pair.homeSide)
    pair.mirror.fault({ path: /manifests/ }, { kind: 'corrupt', at: 9 })
    expect((await pair.repository.readManifest(image.root.digest)).descriptor).toEqual(image.root)
    const asked = pair.mirror.requests.length
    expect((await pair.repository.readManifest(image.root.digest)).descriptor).toEqual(image.root)
    expect(pair.mirror.requests).toHaveLength(asked)
  })

  test('whose bytes are wrong are left out when one is told to', async () => {
    await using pair = await startPair()
    await pair.fill(pair.mirrorSide)
    await pair.fill(pair.homeSide)
    pair.mirror.fault({ times: 9 }, { kind: 'corrupt', at: 9 })
    expect(digestOf(await collect(pair.repository.readBlob(request)))).not.toBe(request.digest)
    expect((await collect(pair.repository.readBlob({ ...request, mirrors: false }))).equals(blob)).toBe(true)
  })

  test('that are not there cost a moment, and the registry is asked', async () => {
    await using home = await startRegistry()
    const registries = openRegistries({
      env: {},
      patience: quickPatience,
      settings: { [home.host]: { plain_http: true, mirrors: ['http://127.0.0.1:1/copies'] } },
    })
    const repository = registries.repository({ registry: home.host, path: 'team/app' })
    await uploadBytes(repository, blob)
    expect((await collect(repository.readBlob(request))).equals(blob)).toBe(true)
    await registries.close()
  })
})

/** A registry and a mirror of it, each behind a proxy that counts. */
async function startPair() {
  const [homeRegistry, mirrorRegistry] = [await startRegistry(), await startRegistry()]
  const [home, mirror]: FaultProxy[] = [await startFaultProxy(homeRegistry), await startFaultProxy(mirrorRegistry)]
  if (home === undefined || mirror === undefined) throw new Error('no proxies')
  const registries = openRegistries({
    env: {},
    patience: quickPatience,
    settings: {
      [home.host]: { plain_http: true, mirrors: [`${mirror.host}/copies/of`] },
      [homeRegistry.host]: { plain_http: true },
      [mirrorRegistry.host]: { plain_http: true },
      [mirror.host]: { plain_http: true },
    },
  })
  return {
    home,
    mirror,
    repository: registries.repository({ registry: home.host, path: 'team/app' }),
    homeSide: registries.repository({ registry: homeRegistry.host, path: 'team/app' }),
    mirrorSide: registries.repository({ registry: mirrorRegistry.host, path: 'copies/of/team/app' }),
    async fill(repository: Repository) {
      await uploadBytes(repository, blob)
      await pushImage(repository, image, 'v1')
    },
    async [Symbol.asyncDispose]() {
      await registries.close()
      for (const part of [home, mirror, homeRegistry, mirrorRegistry]) await part[Symbol.asyncDispose]()
    },
  }
}
