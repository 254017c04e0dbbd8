import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import {
  type BuiltRoot,
  buildImage,
  buildLayer,
  type ImageSpec,
  type LayerOptions,
  ociArchive,
  type Tagged,
} from '../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { type DataLayout, dataLayout, Problem } from '../base/index.ts'
import { openBlobStore } from '../blobs/index.ts'
import { installFile, openStaging } from '../host/index.ts'
import type { ImageUser } from './images-context.ts'
import { hasLayerFiles, type unpackLayer } from './lowers/unpack-layer.ts'
import { writeLayerFiles } from './lowers/write-layer-files.ts'
import { type ImagesOptions, openImages } from './open-images.ts'

/** A data directory with its images, and a directory beside it for archives. */
export async function makeImages(options: Partial<ImagesOptions> = {}) {
  const directory = await temporaryDirectory()
  const layout = dataLayout(join(directory.path, 'data'))
  const blobs = await openBlobStore(layout)
  const users: ImageUser[] = []
  const images = openImages({ layout, blobs, users: async () => users, unpackLayer: unpackHere, ...options })
  return {
    images,
    blobs,
    layout,
    users,
    /** A path outside of the data directory. */
    path: (name: string) => join(directory.path, name),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

/** As unpackLayer, without a thread: to start one takes longer than all the rest of a small load. */
export const unpackHere: typeof unpackLayer = async ({ layout, diffId, path, growing, signal }) => {
  if (signal?.aborted) throw new Problem('CANCELLED', 'cancelled')
  if (await hasLayerFiles(layout, diffId)) return 'present'
  await using staging = await openStaging(layout, 'layer')
  const [dataPath, indexPath] = [join(staging.path, 'data'), join(staging.path, 'index')]
  await writeLayerFiles({ blobPath: path, growing, diffId, dataPath, indexPath })
  await mkdir(layout.layers, { recursive: true })
  await installFile({ from: dataPath, to: layout.layerData(diffId) })
  await installFile({ from: indexPath, to: layout.layerIndex(diffId) })
  return 'built'
}

/** An image of two layers, of which the second replaces a file of the first; other names make other images. */
export function sampleImage(name = 'sample', { image, layer }: { image?: ImageSpec; layer?: LayerOptions } = {}) {
  return buildImage({
    layers: [
      buildLayer(
        [
          { path: 'etc', type: 'directory' },
          { path: 'etc/hostname', content: name },
        ],
        layer,
      ),
      buildLayer([{ path: 'etc/hostname', content: `${name} again` }], layer),
    ],
    ...image,
  })
}

/** Everything in a data directory, to see that nothing has changed. */
export async function allFiles({ root }: DataLayout): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
}

export async function* streamOf(bytes: Buffer, chunkBytes = 65536): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}

/** An image under one name. */
export function pair(image: BuiltRoot, ref = 'app:1'): Tagged[] {
  return [{ image, ref }]
}

/** Expects a load to fail with one of some codes (`A|B`), and the store to be as it was. */
export async function expectRefused(bytes: Buffer, codes: string, tag?: string): Promise<void> {
  await using store = await makeImages()
  await store.images.load({ source: { stream: streamOf(ociArchive(pair(sampleImage('before'), 'before:1'))) } })
  const [files, index] = [await allFiles(store.layout), await readFile(store.layout.imageIndex, 'utf8')]
  const error = await store.images.load({ source: { stream: streamOf(bytes) }, tag }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(codes.split('|')).toContain((error as { code?: string } | undefined)?.code)
  expect(await allFiles(store.layout)).toEqual(files)
  expect(await readFile(store.layout.imageIndex, 'utf8')).toBe(index)
}
