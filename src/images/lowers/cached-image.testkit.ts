import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuiltLayer, buildLayer, noise } from '../../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type DataLayout, dataLayout, digestOf, errnoCode, type Progress } from '../../base/index.ts'
import { storeLayers } from './lowers.testkit.ts'

export const bottomLayer = buildLayer([
  { path: 'etc', type: 'directory' },
  { path: 'etc/passwd', content: 'root:x:0:0::/root:/bin/sh\n' },
  { path: 'bin/sh', content: noise(20_000, 'sh'), mode: 0o755 },
])
export const topLayer = buildLayer([{ path: 'etc/.wh.passwd' }, { path: 'etc/motd', content: noise(6000, 'motd') }])
export const otherManifest = digestOf('other')

/** A data directory, layers of an image beside it, and what is heard while something is made of them. */
export async function cachedImage(layers: readonly BuiltLayer[] = [bottomLayer, topLayer]) {
  const dir = await temporaryDirectory()
  const layout = dataLayout(join(dir.path, 'data'))
  await mkdir(layout.root)
  const stored = await storeLayers(dir.path, layers)
  const heard: Progress[] = []
  return {
    ...{ dir, layout, stored, heard },
    /** The layers that were unpacked, once for each who waited. */
    unpacked: () => heard.filter(({ phase, done }) => phase === 'unpack' && done === 0).map(({ item }) => item),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
}

export async function stagingOf(layout: DataLayout): Promise<string[]> {
  return await readdir(layout.staging).catch((error: unknown) => {
    if (errnoCode(error) === 'ENOENT') return []
    throw error
  })
}
