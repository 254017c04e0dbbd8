import { stat } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { expectedOf, fsckErofs, snapshotOfDirectory, withMountedErofs } from '../../../test/support/erofs-mount.ts'
import {
  type BuiltLayer,
  buildImage,
  buildLayer,
  digestOf,
  noise,
  ociArchive,
} from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import type { TarMember } from '../../../test/support/tar-builder.ts'
import { parseDigest } from '../../base/index.ts'
import { maxLayers } from '../../formats/index.ts'
import { naiveTree } from '../flatten/naive-layers.testkit.ts'
import { makeImages, streamOf } from '../images.testkit.ts'
import { entryOf } from './lowers.testkit.ts'

const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 1_600_000_000 }
const file = (path: string, content: string | Buffer): TarMember => ({ ...attributes, path, content })

/** Each layer adds a file, changes one that all have, and takes away what the one before the last added, or all of it. */
function membersOf(number: number): TarMember[] {
  return [
    { ...attributes, path: 'd', type: 'directory', mode: 0o755 },
    file(`d/${number}`, noise(700, `${number}`)),
    file('common', `${number}`),
    ...(number >= 2 && number % 3 !== 0 ? [file(`d/.wh.${number - 2}`, '')] : []),
    ...(number % 50 === 49 ? [file('d/.wh..wh..opq', '')] : []),
    ...(number % 10 === 9
      ? [{ ...attributes, path: `link-${number}`, type: 'hardlink' as const, linkTarget: 'common' }]
      : []),
  ]
}

test.runIf(needs({ root: true, tools: ['fsck.erofs'] }))(
  'an image of 200 layers is loaded, and mounted by the kernel',
  async () => {
    const layers = Array.from({ length: 200 }, (_, number) => membersOf(number))
    const tree = naiveTree(layers.map((members) => members.map(entryOf)))
    if (tree === undefined) throw new Error('the rules refuse it')
    await using store = await makeImages()
    const image = buildImage({ layers: layers.map((members) => buildLayer(members)) })
    await store.images.load({ source: { stream: streamOf(ociArchive([{ image, ref: 'many:1' }])) } })
    const lower = await store.images.ensureLower(parseDigest(image.root.digest))
    await withMountedErofs(lower.path, (directory) => {
      expect(snapshotOfDirectory(directory)).toEqual(expectedOf(tree, () => Buffer.alloc(0)))
    })
    await fsckErofs(lower.path)
  },
)

test('an image of more layers than are accepted says so, with the limit', async () => {
  const [layer] = [buildLayer([file('a', 'a')])]
  const image = buildImage({ layers: Array<BuiltLayer>(maxLayers + 1).fill(layer) })
  await using store = await makeImages()
  const loading = store.images.load({ source: { stream: streamOf(ociArchive([{ image, ref: 'many:1' }])) } })
  const message = expect.stringContaining(`${maxLayers + 1} layers; at most ${maxLayers} are accepted`)
  await expect(loading).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED', message })
})

/** What BuildKit makes of a step that changes no file, byte for byte: 1024 zeros through Go's gzip. */
const emptyGzip = Buffer.from('1f8b08000000000000ff621805a360148c5800080000ffff2eafb5ef00040000', 'hex')

describe('layers without entries', () => {
  const real = buildLayer([file('a', noise(5000))])
  const known: BuiltLayer = { ...buildLayer(Buffer.alloc(1024)), blob: emptyGzip, digest: digestOf(emptyGzip) }
  const others = [
    buildLayer(Buffer.alloc(0), { compression: 'none' }),
    buildLayer(Buffer.alloc(10_240), { compression: 'zstd' }),
  ]

  test('are those that are known by their digest', () => {
    expect(known.digest).toBe('sha256:4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb5577484a6d75e68dc38e8acc1')
  })

  test('stay in the manifest, and cost nothing in the lower', async () => {
    await using store = await makeImages()
    const lowers = []
    for (const [ref, layers] of [
      ['plain:1', [real]],
      ['full:1', [known, real, known, ...others, known]],
    ] as const) {
      const image = buildImage({ layers })
      await store.images.load({ source: { stream: streamOf(ociArchive([{ image, ref }])) } })
      expect((await store.images.inspect(ref)).layer_list.map(({ digest }) => digest)).toEqual(
        layers.map(({ digest }) => digest),
      )
      lowers.push(await store.images.ensureLower(parseDigest(image.root.digest)))
    }
    expect(lowers.map(({ bytes }) => bytes)).toEqual([lowers[0]?.bytes, lowers[0]?.bytes])
    expect((await stat(store.layout.layerData(parseDigest(known.diffId)))).size).toBe(0)
  })
})
