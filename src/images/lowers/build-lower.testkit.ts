/**
 * Builds a lower, or a root filesystem, in a process of its own, for tests of what the process must not matter for and of what its death must not break.
 *
 *     node build-lower.testkit.ts DATA_DIRECTORY LAYERS_JSON WORKERS UMASK [rootfs]
 *
 * It prints a line for each phase of progress, and last `done SHA256` of it.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dataLayout } from '../../base/index.ts'
import { ensureRootfs } from '../rootfs/ensure-rootfs.ts'
import { ensureLower } from './ensure-lower.ts'
import { someManifest } from './lowers.testkit.ts'
import type { LayerBlob } from './unpack-layer.ts'

async function main([root = '', layersJson = '', workers = '1', umask = '22', form]: readonly string[]): Promise<void> {
  process.umask(Number.parseInt(umask, 8))
  const layers = JSON.parse(readFileSync(layersJson, 'utf8')) as LayerBlob[]
  const ensure = form === 'rootfs' ? ensureRootfs : ensureLower
  const { path } = await ensure({
    layout: dataLayout(root),
    manifest: someManifest,
    layers,
    workers: Number(workers),
    onProgress: ({ phase, done }) => console.log(`${phase} ${done}`),
  })
  console.log(
    `done ${createHash('sha256')
      .update(await readFile(path))
      .digest('hex')}`,
  )
}

await main(process.argv.slice(2))
