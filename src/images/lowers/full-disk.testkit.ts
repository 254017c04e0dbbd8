import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { toolsFor, withSmallFilesystem } from '../../../test/support/filesystems.ts'
import type { BuiltLayer } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type DataLayout, type Digest, dataLayout } from '../../base/index.ts'
import { someManifest, storeLayers } from './lowers.testkit.ts'
import type { LayerBlob } from './unpack-layer.ts'

export interface OnFullDisk {
  /** In words. */
  readonly what: string
  /** Of 24 MiB together. */
  readonly layers: readonly BuiltLayer[]
  readonly ensure: (options: { layout: DataLayout; manifest: Digest; layers: LayerBlob[] }) => Promise<unknown>
  readonly find: (layout: DataLayout, manifest: Digest) => unknown
}

/** Registers tests of a disk that gets full before something is made of layers. */
export function testFullDisks({ what, layers, ensure, find }: OnFullDisk): void {
  describe.runIf(needs({ root: true, tools: toolsFor('ext4') }))('a disk that is full', () => {
    const stages = [
      ['while a layer is unpacked', 20],
      [`while ${what} is put together`, 45],
    ] as const
    test.each(stages)('%s leaves nothing half made', async (_, sizeMiB) => {
      await using dir = await temporaryDirectory()
      const stored = await storeLayers(dir.path, layers)
      await withSmallFilesystem('ext4', sizeMiB * 2 ** 20, async (directory) => {
        const layout = dataLayout(join(directory, 'data'))
        await mkdir(layout.root)
        const attempt = ensure({ layout, manifest: someManifest, layers: stored })
        await expect(attempt).rejects.toMatchObject({ code: 'NO_SPACE' })
        expect(await readdir(layout.staging)).toEqual([])
        expect(find(layout, someManifest)).toBeUndefined()
      })
    })
  })
}
