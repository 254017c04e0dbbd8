import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { buildIndex, hostArchitecture, ociArchive, writeLayout } from '../../test/support/image-builder.ts'
import { needs } from '../../test/support/needs.ts'
import { runTool } from '../host/index.ts'
import { makeImages, sampleImage, streamOf } from './images.testkit.ts'

const image = sampleImage()

/** skopeo wants a policy, and space for large files of its own. */
const skopeo = async (...args: string[]) =>
  (await runTool('skopeo', ['--insecure-policy', ...args], { timeoutMs: 60_000 })).stdout.toString()
const umoci = async (...args: string[]) => (await runTool('umoci', args, { timeoutMs: 60_000 })).stdout.toString()

describe.runIf(needs({ tools: ['skopeo'] }))('skopeo', () => {
  test.each([
    ['oci-archive:', 'app.tar:app:1', true],
    ['oci:', 'layout:app:1', true],
    ['docker-archive:', 'app.tar:app:1', false],
  ])('writes %s and it is loaded', async (transport, target, sameDigest) => {
    await using store = await makeImages()
    await writeLayout(store.path('source'), [{ image, ref: 'app:1' }])
    await skopeo('copy', `oci:${store.path('source')}:app:1`, `${transport}${store.path(target)}`)
    const [loaded] = await store.images.load({ source: { path: store.path(target.split(':')[0] ?? '') } })
    expect(loaded).toMatchObject({ tags: ['app:1'], layers: 2 })
    if (sameDigest) expect(loaded?.digest).toBe(image.root.digest)
    const { config } = await store.images.resolve('app:1')
    expect(config.diffIds).toEqual(image.layers.map(({ diffId }) => diffId))
  })

  test('writes all platforms and they are loaded', async () => {
    await using store = await makeImages()
    const index = buildIndex([image, sampleImage('other', { image: { architecture: 's390x' } })])
    await writeLayout(store.path('source'), [{ image: index, ref: 'app:1' }])
    await skopeo('copy', '--all', `oci:${store.path('source')}:app:1`, `oci-archive:${store.path('app.tar')}:app:1`)
    const [loaded] = await store.images.load({ source: { path: store.path('app.tar') } })
    expect(loaded).toMatchObject({ digest: index.root.digest, manifest_digest: image.root.digest })
  })

  test('reads the store in place, and what is saved from it', async () => {
    await using store = await makeImages()
    await store.images.load({ source: { stream: streamOf(ociArchive([{ image, ref: 'app:1' }])) } })
    await store.images.tag('app:1', 'team/app:two')
    const inspected = JSON.parse(await skopeo('inspect', `oci:${store.layout.root}:team/app:two`))
    expect(inspected).toMatchObject({ Digest: image.root.digest, Architecture: hostArchitecture() })
    await store.images.saveTo({ refs: ['app:1'], path: store.path('out.tar') })
    expect(JSON.parse(await skopeo('inspect', `oci-archive:${store.path('out.tar')}`)).Digest).toBe(image.root.digest)
  })

  test('inspects the same documents, byte for byte', async () => {
    await using store = await makeImages()
    const index = buildIndex([image, sampleImage('other', { image: { architecture: 's390x' } })])
    const tags = [
      { image, ref: 'app:1' },
      { image: index, ref: 'app:all' },
    ]
    await store.images.load({ source: { stream: streamOf(ociArchive(tags)) } })
    for (const ref of ['app:1', 'app:all']) {
      const raw = (...options: string[]) => skopeo('inspect', '--raw', ...options, `oci:${store.layout.root}:${ref}`)
      expect((await store.images.document(ref, 'root')).toString()).toBe(await raw())
      expect((await store.images.document(ref, 'config')).toString()).toBe(await raw('--config'))
    }
    const theirs = JSON.parse(await skopeo('inspect', `oci:${store.layout.root}:app:1`))
    const ours = await store.images.inspect('app:1')
    expect([ours.created_at, ours.architecture, ours.os, ours.config.env]).toEqual([
      new Date(theirs.Created).toISOString(),
      theirs.Architecture,
      theirs.Os,
      theirs.Env,
    ])
    expect(ours.layer_list.map(({ digest }) => digest)).toEqual(theirs.Layers)
  })

  test('writes into the store, and the image is there', async () => {
    await using store = await makeImages()
    await store.images.load({ source: { stream: streamOf(ociArchive([{ image, ref: 'app:1' }])) } })
    await writeLayout(store.path('source'), [{ image: sampleImage('new'), ref: 'new:1' }])
    await skopeo('copy', `oci:${store.path('source')}:new:1`, `oci:${store.layout.root}:docker.io/library/new:1`)
    expect((await store.images.list()).map(({ tags }) => tags)).toEqual([['app:1'], ['new:1']])
    expect((await store.images.resolve('new:1')).manifestDigest).toBe(sampleImage('new').root.digest)
    await store.images.remove('new:1', { force: false })
    expect((await store.images.list()).map(({ tags }) => tags)).toEqual([['app:1']])
  })
})

describe.runIf(needs({ tools: ['umoci'] }))('umoci', () => {
  test('makes an image and it is loaded under the name of its directory', async () => {
    await using store = await makeImages()
    await umoci('init', '--layout', store.path('debian'))
    await umoci('new', '--image', `${store.path('debian')}:12`)
    const [layer] = image.layers
    await writeFile(store.path('layer.tar'), layer?.tar ?? '')
    await umoci('raw', 'add-layer', '--image', `${store.path('debian')}:12`, store.path('layer.tar'))
    const [loaded] = await store.images.load({ source: { path: store.path('debian') } })
    expect(loaded).toMatchObject({ tags: ['debian:12'], layers: 1 })
    expect((await store.images.inspect('debian:12')).layer_list[0]?.diff_id).toBe(layer?.diffId)
  })

  test.runIf(needs({ root: true }))('lists the store in place, and unpacks from it', async () => {
    await using store = await makeImages()
    await store.images.load({ source: { stream: streamOf(ociArchive([{ image, ref: 'app:1' }])) } })
    expect(await umoci('ls', '--layout', store.layout.root)).toBe('app:1\n')
    await mkdir(store.path('bundle'))
    await umoci('unpack', '--image', `${store.layout.root}:app:1`, store.path('bundle/app'))
    expect(await readFile(store.path('bundle/app/rootfs/etc/hostname'), 'utf8')).toBe('sample again')
  })
})
