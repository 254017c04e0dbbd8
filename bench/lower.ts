import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOnPath } from '../test/support/needs.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchImage, benchImage } from './support/bench-image.ts'
import { bundle } from './support/bundle.ts'
import { interleave } from './support/interleave.ts'
import { runCommand } from './support/run-command.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'an OCI image of three gzip layers with whiteouts becomes an erofs, against umoci unpack + mkfs.erofs',
  run,
}

const modules = [
  'bench/support/build-lower.ts',
  'src/images/lowers/unpack-layer-worker.ts',
  'src/images/lowers/write-bootstrap-worker.ts',
]

/** What one run of cowshed reports of itself. */
interface Built {
  readonly bytes: number
  readonly peakBytes: number
  readonly cpuMs: number
}

async function run({ runs, small, say }: BenchOptions): Promise<BenchReport> {
  const missing = ['umoci', 'mkfs.erofs'].filter((tool) => !isOnPath(tool))
  if (missing.length > 0)
    return { rows: missing.map((name) => ({ kind: 'absent', name, why: 'is not installed' })), notes: [] }
  const image = await benchImage(small ? 'minbase' : 'large')
  const dist = await bundle('lower', modules)
  const scratch = await mkdtemp(join(tmpdir(), 'cowshed-bench-lower-'))
  try {
    const built: Built[] = []
    const lanes = contestants({ image, dist, scratch, built })
    await readOnce(image)
    const values = await interleave({ runs, say, contestants: lanes })
    return report(image, values, built)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

interface Stage {
  readonly image: BenchImage
  readonly dist: string
  readonly scratch: string
  readonly built: Built[]
}

function contestants({ image, dist, scratch, built }: Stage) {
  const [data, bundleDirectory, erofs] = ['data', 'bundle', 'image.erofs'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ]
  return {
    cowshed: async () => {
      await rm(data, { recursive: true, force: true })
      await mkdir(data)
      const layers = join(scratch, 'layers.json')
      await writeFile(layers, JSON.stringify(image.layers))
      const { ms, stdout } = await runCommand(process.execPath, [
        join(dist, 'build-lower.js'),
        data,
        image.manifest,
        layers,
      ])
      built.push(JSON.parse(stdout) as Built)
      return ms
    },
    pipeline: async () => {
      await rm(data, { recursive: true, force: true })
      await rm(bundleDirectory, { recursive: true, force: true })
      await rm(erofs, { force: true })
      const unpack = await runCommand('umoci', ['unpack', '--image', `${image.layout}:bench`, bundleDirectory])
      const mkfs = await runCommand('mkfs.erofs', [erofs, join(bundleDirectory, 'rootfs')])
      return unpack.ms + mkfs.ms
    },
    // Of the tree that the pipeline has just unpacked: its files are in the page cache.
    mkfs: async () => {
      await rm(erofs, { force: true })
      return (await runCommand('mkfs.erofs', [erofs, join(bundleDirectory, 'rootfs')])).ms
    },
  }
}

/** So that the first run does not read from the disk what the others have in memory. */
async function readOnce({ layers }: BenchImage): Promise<void> {
  await runCommand(
    'sha256sum',
    layers.map(({ path }) => path),
  )
}

function report(
  image: BenchImage,
  values: Record<'cowshed' | 'pipeline' | 'mkfs', number[]>,
  built: readonly Built[],
): BenchReport {
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
  return {
    rows: [
      { kind: 'measured', name: 'cowshed', unit: 'ms', ...summarize(values.cowshed) },
      { kind: 'measured', name: 'umoci unpack + mkfs.erofs', unit: 'ms', ...summarize(values.pipeline) },
      { kind: 'measured', name: 'mkfs.erofs alone', unit: 'ms', ...summarize(values.mkfs) },
      { kind: 'measured', name: 'cowshed: processor time', unit: 'ms', ...summarize(built.map(({ cpuMs }) => cpuMs)) },
      {
        kind: 'measured',
        name: 'cowshed: peak memory',
        unit: 'MB',
        ...summarize(built.map(({ peakBytes }) => peakBytes / 1e6)),
      },
      { kind: 'ratio', name: 'cowshed / pipeline', goal: 0.5, ...ratios(values.cowshed, values.pipeline) },
      { kind: 'ratio', name: 'cowshed / mkfs.erofs alone', goal: 1.5, ...ratios(values.cowshed, values.mkfs) },
      {
        kind: 'ratio',
        name: 'peak memory / 300 MB',
        goal: 1,
        ...summarize(built.map(({ peakBytes }) => peakBytes / 300e6)),
      },
    ],
    notes: [
      `the image is ${megabytes(image.tarBytes)} in layers, ${megabytes(image.blobBytes)} compressed; the lower ${megabytes(built[0]?.bytes ?? 0)}`,
      'cowshed starts a process with a cold cache, verifies every diff_id and makes what it writes durable; its peers do neither',
    ],
  }
}
