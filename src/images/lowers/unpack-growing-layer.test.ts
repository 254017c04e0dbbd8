import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type BuiltLayer, buildLayer, noise } from '../../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type DataLayout, type Digest, dataLayout } from '../../base/index.ts'
import { FileGrowth } from '../../host/index.ts'
import { hasLayerFiles, unpackLayer } from './unpack-layer.ts'

const large = noise(2 << 20)
const layers = {
  'gzip, on a thread': buildLayer([{ path: 'large', content: large }], { compression: 'gzip' }),
  'zstd, on a thread': buildLayer([{ path: 'large', content: large }], { compression: 'zstd' }),
  'plain, on a thread': buildLayer([{ path: 'large', content: large }], { compression: 'none' }),
  small: buildLayer([{ path: 'small', content: noise(4000) }]),
}

describe('a layer that is still being downloaded', () => {
  test.each(Object.entries(layers))('is unpacked as it comes: %s', async (_, layer) => {
    await using growing = await growingLayer(layer)
    const unpacking = unpackLayer(growing.request)
    await growing.write({ to: layer.blob.length / 2 })
    expect(await hasLayerFiles(growing.layout, growing.diffId)).toBe(false)
    await growing.write({ to: layer.blob.length })
    expect(await unpacking).toBe('built')

    await using whole = await growingLayer(layer)
    await whole.write({ to: layer.blob.length })
    const { growing: _growing, ...request } = whole.request
    expect(await unpackLayer(request)).toBe('built')
    for (const path of ['layerData', 'layerIndex'] as const) {
      expect(await readFile(growing.layout[path](growing.diffId))).toEqual(
        await readFile(whole.layout[path](whole.diffId)),
      )
    }
  })

  test('that is given up leaves nothing, and whoever has the layer otherwise goes on with that', async () => {
    const layer = layers['gzip, on a thread']
    await using growing = await growingLayer(layer)
    const first = unpackLayer(growing.request)
    const failed = expect(first).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    const own = join(growing.layout.root, 'own')
    await writeFile(own, layer.blob)
    const second = unpackLayer({ layout: growing.layout, diffId: growing.diffId, path: own })
    await growing.write({ to: 100_000 })
    growing.growth.giveUp()
    await failed
    expect(await second).toBe('built')
  })
})

async function growingLayer({ blob, diffId: diffIdText }: BuiltLayer) {
  const directory = await temporaryDirectory()
  const layout: DataLayout = dataLayout(directory.path)
  const [path, growth, diffId] = [join(directory.path, 'blob'), new FileGrowth(), diffIdText as Digest]
  await writeFile(path, '')
  let written = 0
  return {
    layout,
    diffId,
    growth,
    request: { layout, diffId, path, growing: { size: blob.length, growth: growth.shared } },
    async write({ to }: { to: number }) {
      for (const end of [written + 1, Math.floor((written + to) / 2), Math.floor(to)]) {
        await appendFile(path, blob.subarray(written, end))
        written = Math.max(written, end)
        growth.reach(written)
        await setTimeout(5)
      }
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}
