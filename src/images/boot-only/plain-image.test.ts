import { readdir, readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildImage, buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { plainErofsImage } from '../../../test/support/plain-erofs-image.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { parseDigest } from '../../base/index.ts'
import { damageFile } from '../../lazy/damage.testkit.ts'
import { noteWhole } from '../../lazy/index.ts'
import { keystream } from '../../wires/registry/registry.testkit.ts'
import { makeImages, streamOf } from '../images.testkit.ts'
import { openPulls, type Pulls } from '../pull/pull.testkit.ts'
import { readKeptChunks } from './kept-chunks.ts'

const source = buildImage({ layers: [buildLayer([{ path: 'usr/lib/large', content: keystream(600_000) }])] })

/** Each test goes on where the one before it ended. */
describe.runIf(needs({ tools: registryTools }))('an image that is one erofs image', () => {
  let place: Pulls
  let lower: Buffer
  const runs = { Env: ['WHO=me'], WorkingDir: '/usr', User: 'nobody' }

  beforeAll(async () => {
    place = await openPulls()
    await using publisher = await makeImages()
    await publisher.images.load({ source: { stream: streamOf(ociArchive([{ image: source, ref: 'app:1' }])) } })
    lower = await readFile((await publisher.images.ensureLower(parseDigest(source.root.digest))).path)
    await place.publish(plainErofsImage(lower, { runs }), 'said:1')
    await place.publish(plainErofsImage(lower), 'unsaid:1')
  })
  afterAll(() => place[Symbol.asyncDispose]())

  const bring = (name: string) => place.images.bringLazily(place.ref(name), { unverified: true })
  const manifestOf = async (name: string) => (await place.images.resolve(place.ref(name))).manifestDigest

  test('is brought only by who says that it may be unverified, and by no pull', async () => {
    const ref = place.ref('said:1')
    await expect(place.images.bringLazily(ref)).rejects.toMatchObject({ code: 'IMAGE_UNSUPPORTED' })
    const pulled = place.images.pull({ ref })
    await expect(pulled).rejects.toMatchObject({
      code: 'IMAGE_UNSUPPORTED',
      hint: expect.stringContaining('--pull lazy'),
    })
    expect(await place.images.list()).toEqual([])
  })

  test.each([
    ['as its config says, which runs a program in it', 'said:1', { env: runs.Env, workingDir: '/usr', user: 'nobody' }],
    ['without one, as by an empty config', 'unsaid:1', { env: [], workingDir: '', user: '' }],
  ])('is %s', async (_, name, runtime) => {
    const { image, lazy, isNew } = await bring(name)
    const chunkIndex = image.manifestDigest
    expect([isNew, lazy]).toEqual([true, expect.objectContaining({ chunkIndex, profile: 'plain', plain: true })])
    expect(image.runtime).toMatchObject(runtime)
    expect((await bring(name)).isNew).toBe(false)
    // Who does not say so has nothing of what is known.
    await expect(place.images.bringLazily(place.ref(name))).rejects.toMatchObject({ code: 'IMAGE_UNSUPPORTED' })
    await expect(place.images.ensureLower(await manifestOf(name))).rejects.toMatchObject({ code: 'IMAGE_INCOMPLETE' })
  })

  test('is listed, inspected and verified like any other', async () => {
    const listed = await place.images.list()
    expect(listed.map(({ layers, problem, platform }) => [layers, problem, platform !== undefined])).toEqual([
      [1, undefined, true],
      [1, undefined, true],
    ])
    expect((await place.images.inspect(place.ref('unsaid:1'))).layer_list).toHaveLength(1)
    expect(await place.images.planLayerDrops()).toHaveLength(2)
  })

  test.each([
    ['no erofs image at all', () => keystream(300_000), 'no erofs superblock'],
    ['longer than it says', () => Buffer.concat([lower, Buffer.alloc(4096)]), 'bytes, not'],
  ])('is refused when it is %s', async (name, content, why) => {
    const at = `odd-${name.length}:1`
    await place.publish(plainErofsImage(content()), at)
    await expect(bring(at)).rejects.toMatchObject({ code: 'IMAGE_UNSUPPORTED', message: expect.stringContaining(why) })
  })

  test('is the lower of its image once it is whole and right, and not before', async () => {
    const { blob } = plainErofsImage(lower)
    const manifest = await manifestOf('unsaid:1')
    const { data, dir } = place.layout.lazyLower(manifest)
    await writeFile(data, lower)
    await damageFile(data, 'flip', 100_000)
    await noteWhole(place.layout, manifest)
    expect(await place.images.settleLazyLower(manifest)).toBe('lazy')
    expect(await readdir(dir)).not.toContain('whole')
    await writeFile(data, lower)
    await noteWhole(place.layout, manifest)
    expect(await place.images.settleLazyLower(manifest)).toBe('kept')
    expect(await place.images.isKeptAs(manifest, manifest)).toBe(true)
    expect(await readFile((await place.images.ensureLower(manifest)).path)).toEqual(lower)
    expect((await readKeptChunks(place.layout, manifest))?.parts).toMatchObject([{ digest: blob }])
    expect((await place.images.bringLazily(place.ref('unsaid:1'))).lazy).toBeUndefined()
    expect(await place.images.settleLazyLower(manifest)).toBe('lazy')
  })

  test('and what rots of it then is found', async () => {
    const manifest = await manifestOf('unsaid:1')
    const refs = [place.ref('unsaid:1')]
    const damaged = async () => (await place.images.verify({ refs, repair: false })).findings.map(({ kind }) => kind)
    expect(await damaged()).toEqual([])
    await damageFile(place.layout.keptLower(manifest), 'flip', 100_000)
    expect(await damaged()).toEqual(['lower'])
  })
})
