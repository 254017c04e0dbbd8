import { execFileSync } from 'node:child_process'
import { mkdir, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dataLayout } from '../src/base/index.ts'
import { mountFresh } from '../test/support/mount-filesystem.ts'
import { isOnPath } from '../test/support/needs.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchImage, benchImage } from './support/bench-image.ts'
import { bundle } from './support/bundle.ts'
import { interleave } from './support/interleave.ts'
import { runCommand } from './support/run-command.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'a second image that shares all but one layer becomes a lower, against umoci unpack + mkfs.erofs',
  run,
}

const modules = [
  'bench/support/build-lower.ts',
  'src/images/lowers/unpack-layer-worker.ts',
  'src/images/lowers/compress-stretches-worker.ts',
  'src/images/lowers/write-bootstrap-worker.ts',
]
const places = ['btrfs', 'xfs'] as const
/** Sparse: what is not written to it costs nothing. */
const filesystemBytes = 8 * 2 ** 30
/** The first image's: anything but the second's. */
const firstManifest = `sha256:${'1'.repeat(64)}`

async function run(options: BenchOptions): Promise<BenchReport> {
  const tools = ['umoci', 'mkfs.erofs', ...places.map((place) => `mkfs.${place}`)]
  const missing = tools.filter((tool) => !isOnPath(tool))
  if (missing.length > 0)
    return { rows: missing.map((name) => ({ kind: 'absent', name, why: 'is not installed' })), notes: [] }
  const image = await benchImage(options.small ? 'minbase' : 'large')
  const dist = await bundle('lower', modules)
  const rows: BenchReport['rows'][number][] = []
  for (const place of places) {
    options.say(`on ${place}`)
    await using filesystem = await mountFresh(place, filesystemBytes, place === 'btrfs' ? ['ssd'] : [])
    rows.push(...(await runAt(place, { image, dist, directory: filesystem.directory }, options)))
  }
  return { rows, notes: [`the shared layers are the first two of ${image.layers.length}; the new one deletes things`] }
}

interface Stage {
  readonly image: BenchImage
  readonly dist: string
  readonly directory: string
}

interface Built {
  readonly bytes: number
}

async function runAt(place: string, stage: Stage, { runs, say }: BenchOptions): Promise<BenchReport['rows']> {
  const { image, directory } = stage
  const added: number[] = []
  const bundleDirectory = join(directory, 'bundle')
  const values = await interleave({
    runs,
    say,
    contestants: {
      second: async () => {
        await rm(join(directory, 'data'), { recursive: true, force: true })
        await mkdir(join(directory, 'data'))
        await build(stage, firstManifest, image.layers.slice(0, -1))
        const [before, files] = [await usedBytes(directory), await layerBytes(directory)]
        const second = await build(stage, image.manifest, image.layers)
        const more = (await usedBytes(directory)) - before
        const { index } = await layerBytes(directory)
        added.push(more / (second.bytes - files.data + index - files.index))
        return second.ms
      },
      pipeline: async () => {
        await rm(bundleDirectory, { recursive: true, force: true })
        const erofs = join(directory, 'image.erofs')
        await rm(erofs, { force: true })
        const unpack = await runCommand('umoci', ['unpack', '--image', `${image.layout}:bench`, bundleDirectory])
        const mkfs = await runCommand('mkfs.erofs', [erofs, join(bundleDirectory, 'rootfs')])
        return unpack.ms + mkfs.ms
      },
    },
  })
  return [
    { kind: 'measured', name: `${place}: cowshed`, unit: 'ms', ...summarize(values.second) },
    { kind: 'measured', name: `${place}: umoci unpack + mkfs.erofs`, unit: 'ms', ...summarize(values.pipeline) },
    { kind: 'ratio', name: `${place}: cowshed / pipeline`, goal: 0.1, ...ratios(values.second, values.pipeline) },
    { kind: 'ratio', name: `${place}: added bytes / new data and metadata`, goal: 1.1, ...summarize(added) },
  ]
}

async function build({ dist, directory }: Stage, manifest: string, layers: BenchImage['layers']) {
  const list = join(directory, 'layers.json')
  await writeFile(list, JSON.stringify(layers))
  const script = join(dist, 'build-lower.js')
  const { ms, stdout } = await runCommand(process.execPath, [script, join(directory, 'data'), manifest, list])
  return { ms, ...(JSON.parse(stdout) as Built) }
}

/** Of all cached layers: their data, which lowers share, and their indexes. */
async function layerBytes(directory: string): Promise<{ data: number; index: number }> {
  const { layers } = dataLayout(join(directory, 'data'))
  const sum = { data: 0, index: 0 }
  for (const name of await readdir(layers)) {
    const { size } = await stat(join(layers, name))
    sum[name.endsWith('.data') ? 'data' : 'index'] += size
  }
  return sum
}

async function usedBytes(directory: string): Promise<number> {
  execFileSync('sync', ['-f', directory])
  execFileSync('sync', ['-f', directory])
  const { blocks, bfree, bsize } = await statfs(directory)
  return (blocks - bfree) * bsize
}
