import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LowerProfile } from '../src/base/index.ts'
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
  'src/images/lowers/compress-stretches-worker.ts',
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
    const sizes = new Map<string, number>()
    const lanes = contestants({ image, dist, scratch, built, sizes })
    await readOnce(image)
    const values = await interleave({ runs, say, contestants: lanes })
    const { rows, notes } = report(image, values, built)
    return { rows: [...rows, ...profileRows(values, sizes)], notes }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

interface Stage {
  readonly image: BenchImage
  readonly dist: string
  readonly scratch: string
  readonly built: Built[]
  /** Bytes of what each profile gave, by contestant. */
  readonly sizes: Map<string, number>
}

/** Profiles, and what mkfs.erofs is asked for to do the same. */
const compressed = { lz4: ['-zlz4'], 'lz4-64k': ['-zlz4', '-C65536'] } as const
type Compressed = keyof typeof compressed
const profileNames = Object.keys(compressed) as Compressed[]

function contestants({ image, dist, scratch, built, sizes }: Stage) {
  const [data, bundleDirectory, erofs] = ['data', 'bundle', 'image.erofs'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ]
  const build = async (profile: LowerProfile) => {
    await rm(data, { recursive: true, force: true })
    await mkdir(data)
    const layers = join(scratch, 'layers.json')
    await writeFile(layers, JSON.stringify(image.layers))
    const script = join(dist, 'build-lower.js')
    const { ms, stdout } = await runCommand(process.execPath, [script, data, image.manifest, layers, profile])
    const result = JSON.parse(stdout) as Built
    sizes.set(`cowshed ${profile}`, result.bytes)
    return { ms, result }
  }
  /** Of the tree that the pipeline has just unpacked: its files are in the page cache. */
  const mkfs = async (profile: LowerProfile, options: readonly string[]) => {
    await rm(erofs, { force: true })
    const { ms } = await runCommand('mkfs.erofs', [...options, erofs, join(bundleDirectory, 'rootfs')])
    sizes.set(`mkfs ${profile}`, (await stat(erofs)).size)
    return ms
  }
  return {
    cowshed: async () => {
      const { ms, result } = await build('plain')
      built.push(result)
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
    mkfs: () => mkfs('plain', []),
    'cowshed lz4': async () => (await build('lz4')).ms,
    'mkfs lz4': () => mkfs('lz4', compressed.lz4),
    'cowshed lz4-64k': async () => (await build('lz4-64k')).ms,
    'mkfs lz4-64k': () => mkfs('lz4-64k', compressed['lz4-64k']),
  }
}

type Values = Record<keyof ReturnType<typeof contestants>, number[]>

/** What each profile takes and gives, beside mkfs.erofs. */
function profileRows(values: Values, sizes: ReadonlyMap<string, number>): BenchReport['rows'] {
  const size = (who: string, profile: LowerProfile) => (sizes.get(`${who} ${profile}`) ?? Number.NaN) / 1e6
  const times = profileNames.flatMap((profile): BenchReport['rows'] => [
    { kind: 'measured', name: `cowshed: ${profile}`, unit: 'ms', ...summarize(values[`cowshed ${profile}`]) },
    { kind: 'measured', name: `mkfs.erofs: ${profile}`, unit: 'ms', ...summarize(values[`mkfs ${profile}`]) },
    {
      kind: 'ratio',
      name: `${profile}: cowshed / mkfs.erofs`,
      goal: 1.5,
      ...ratios(values[`cowshed ${profile}`], values[`mkfs ${profile}`]),
    },
  ])
  const bytes = (['plain', ...profileNames] as const).flatMap((profile): BenchReport['rows'] => [
    { kind: 'measured', name: `size, cowshed: ${profile}`, unit: 'MB', ...summarize([size('cowshed', profile)]) },
    { kind: 'measured', name: `size, mkfs.erofs: ${profile}`, unit: 'MB', ...summarize([size('mkfs', profile)]) },
  ])
  return [...times, ...bytes]
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
  values: Pick<Values, 'cowshed' | 'pipeline' | 'mkfs'>,
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
