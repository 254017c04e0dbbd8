import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type BuiltRoot,
  buildImage,
  buildIndex,
  buildLayer,
  digestOf,
  noise,
  ociArchive,
} from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import type { Digest } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'
import { sampleImage, streamOf } from '../images.testkit.ts'
import { openPulls, type Pulls } from '../pull/pull.testkit.ts'

const skopeo = async (...args: string[]) =>
  (await runTool('skopeo', ['--insecure-policy', ...args], { timeoutMs: 60_000 })).stdout

describe.runIf(needs({ tools: [...registryTools, 'skopeo'] }))('a push', () => {
  test.each(['oci', 'docker'] as const)('of %s types is the same there as here, as skopeo sees it', async (family) => {
    await using pulls = await openPulls()
    const layers = (['gzip', 'zstd', 'none'] as const).map((compression) =>
      buildLayer([{ path: compression, content: noise(200_000, compression) }], { compression }),
    )
    const image = buildImage({ family, layers: family === 'docker' ? layers.slice(0, 1) : layers })
    await load(pulls, image, 'app:1')
    const pushed = await pulls.images.push({ ref: 'app:1', destination: pulls.ref('copy:v1') })
    expect(pushed).toMatchObject({ destination: pulls.ref('copy:v1'), digest: image.root.digest })
    expect(pushed.uploaded.blobs).toBe(image.layers.length + 1)
    expect(digestOf(await raw(pulls, 'copy:v1'))).toBe(image.root.digest)
    // Every byte of it: skopeo verifies what it copies.
    await using directory = await temporaryDirectory()
    const to = `oci:${join(directory.path, 'layout')}:x`
    await skopeo('copy', '--preserve-digests', '--src-tls-verify=false', `docker://${pulls.registry.host}/copy:v1`, to)
  })

  test('again sends nothing', async () => {
    await using pulls = await openPulls()
    await load(pulls, sampleImage(), 'app:1')
    const request = { ref: 'app:1', destination: pulls.ref('app:1') }
    await pulls.images.push(request)
    pulls.proxy.clear()
    const again = await pulls.images.push(request)
    expect([again.uploaded.blobs, again.mounted.blobs, again.present.blobs]).toEqual([0, 0, 3])
    expect(pulls.proxy.requests.map(({ method }) => method).sort()).toEqual(['HEAD', 'HEAD', 'HEAD', 'PUT'])
  })

  test('to another repository of a registry that it was pulled from takes the blobs over', async () => {
    await using pulls = await openPulls()
    const image = sampleImage()
    await pulls.publish(image, 'team/app:1')
    await pulls.images.pull({ ref: pulls.ref('team/app:1') })
    const first = await pulls.images.push({ ref: pulls.ref('team/app:1'), destination: pulls.ref('other:1') })
    expect([first.uploaded.blobs, first.mounted.blobs]).toEqual([0, 3])
    // What was pushed is known as well: an image on top of it sends its own layer only.
    const top = buildImage({ layers: [...image.layers, buildLayer([{ path: 'top', content: 'top' }])] })
    await load(pulls, top, 'top:1')
    const second = await pulls.images.push({ ref: 'top:1', destination: pulls.ref('third:1') })
    expect([second.uploaded.blobs, second.mounted.blobs]).toEqual([2, 2])
    expect(digestOf(await raw(pulls, 'third:1'))).toBe(top.root.digest)
  })

  test('that is taken from another repository in vain is uploaded', async () => {
    await using pulls = await openPulls()
    await pulls.publish(sampleImage(), 'team/app:1')
    await pulls.images.pull({ ref: pulls.ref('team/app:1') })
    pulls.proxy.fault(
      { method: 'POST', path: /mount=/, times: 3 },
      { kind: 'answer', status: 202, headers: { location: `http://${pulls.proxy.host}/nowhere` } },
    )
    // The registry itself begins an upload when it cannot mount; here it only claims to.
    const pushed = pulls.images.push({ ref: pulls.ref('team/app:1'), destination: pulls.ref('other:1') })
    expect((await pushed).uploaded.blobs).toBe(3)
  })

  test('of an index sends what it lists first, and all of it', async () => {
    await using pulls = await openPulls()
    const [here, there] = [sampleImage('here'), sampleImage('there', { image: { architecture: 'other' } })]
    const index = buildIndex([here, there])
    await load(pulls, index, 'many:1')
    await pulls.images.push({ ref: 'many:1', destination: pulls.ref('many:1') })
    expect(digestOf(await raw(pulls, 'many:1'))).toBe(index.root.digest)
    const puts = pulls.proxy.requests.filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/'))
    expect(puts.map(({ path }) => path.split('/').at(-1))).toEqual([here.root.digest, there.root.digest, '1'])
    await using directory = await temporaryDirectory()
    const to = `oci:${join(directory.path, 'layout')}:x`
    await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${pulls.registry.host}/many:1`, to)
  })

  test('comes back under its digest', async () => {
    await using pulls = await openPulls()
    const image = sampleImage()
    await load(pulls, image, 'app:1')
    const destination = pulls.ref(`app@${image.root.digest}`)
    expect(await pulls.images.push({ ref: 'app:1', destination })).toMatchObject({ destination })
    await pulls.images.remove('app:1', { force: false })
    expect((await pulls.images.pull({ ref: destination })).image.digest).toBe(image.root.digest)
  })

  test('goes on where the connection broke', async () => {
    await using pulls = await openPulls()
    const image = buildImage({
      layers: [buildLayer([{ path: 'big', content: noise(3 << 20) }], { compression: 'none' })],
    })
    await load(pulls, image, 'app:1')
    pulls.proxy.fault({ method: 'PATCH' }, { kind: 'reset-request', after: 1 << 20 })
    pulls.proxy.fault({ method: 'PUT', path: /uploads/ }, { kind: 'reset-request', after: 1 << 20 })
    await pulls.images.push({ ref: 'app:1', destination: pulls.ref('app:1') })
    expect(digestOf(await raw(pulls, 'app:1'))).toBe(image.root.digest)
  })
})

describe.runIf(needs({ tools: registryTools }))('a push is refused, and nothing is sent,', () => {
  test.each(['layer', 'config', 'manifest of a member'])('without a blob: the %s', async (which) => {
    await using pulls = await openPulls()
    const image = sampleImage()
    const root = which === 'manifest of a member' ? buildIndex([image]) : image
    await load(pulls, root, 'app:1')
    const manifest = JSON.parse(String(image.blobs.get(image.root.digest))) as { config: { digest: string } }
    const lost = { layer: image.layers[1]?.digest, config: manifest.config.digest }[which] ?? image.root.digest
    await rm(pulls.layout.blob(lost as Digest))
    const push = pulls.images.push({ ref: 'app:1', destination: pulls.ref('app:1') })
    await expect(push).rejects.toMatchObject({
      code: 'IMAGE_INCOMPLETE',
      hint: expect.stringContaining('cowshed image pull --with-layers app:1'),
    })
    expect(pulls.proxy.requests).toEqual([])
  })

  test('without a name to push it to, or under a digest that it does not have', async () => {
    await using pulls = await openPulls()
    const image = sampleImage()
    await load(pulls, image, 'app:1')
    const push = (ref: string, destination?: string) => pulls.images.push({ ref, destination })
    await expect(push(image.root.digest)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    const another = pulls.ref(`app@${digestOf(Buffer.from('another'))}`)
    await expect(push('app:1', another)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    await expect(push('absent:1')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
    expect(pulls.proxy.requests).toEqual([])
  })
})

async function load(pulls: Pulls, image: BuiltRoot, ref: string): Promise<void> {
  await pulls.images.load({ source: { stream: streamOf(ociArchive([{ image, ref }])) } })
}

/** The bytes that a tag stands for in the registry, as skopeo gets them. */
async function raw(pulls: Pulls, name: string): Promise<Buffer> {
  return await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${pulls.registry.host}/${name}`)
}
