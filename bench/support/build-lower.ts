/**
 * A process that builds one lower, as the daemon would, and says what it took.
 *
 *     node build-lower.js DATA_DIRECTORY MANIFEST LAYERS_JSON [PROFILE]
 */
import { readFileSync } from 'node:fs'
import { dataLayout, lowerProfiles, parseDigest } from '../../src/base/index.ts'
import { ensureLower } from '../../src/images/lowers/ensure-lower.ts'
import type { LayerBlob } from '../../src/images/lowers/unpack-layer.ts'

async function main([root = '', manifest = '', layersJson = '', wanted = 'plain']: readonly string[]): Promise<void> {
  const layers = JSON.parse(readFileSync(layersJson, 'utf8')) as LayerBlob[]
  const profile = lowerProfiles.find((one) => one === wanted) ?? 'plain'
  const start = performance.now()
  const { path, bytes } = await ensureLower({
    layout: dataLayout(root),
    manifest: parseDigest(manifest),
    layers,
    kind: { profile, form: 'whole' },
  })
  const ms = performance.now() - start
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  console.log(
    JSON.stringify({ path, bytes, ms, peakBytes: maxRSS * 1024, cpuMs: (userCPUTime + systemCPUTime) / 1000 }),
  )
}

await main(process.argv.slice(2))
