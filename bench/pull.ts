import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { dataLayout } from '../src/base/index.ts'
import { openBlobStore } from '../src/blobs/index.ts'
import type { ProgressEvent } from '../src/contract/index.ts'
import { openImages } from '../src/images/index.ts'
import { openRegistries } from '../src/wires/index.ts'
import { isOnPath } from '../test/support/needs.ts'
import { startRegistry, type TestRegistry } from '../test/support/registry.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchDaemon, launcher, startBenchDaemon } from './support/bench-daemon.ts'
import { type BenchImage, benchImage } from './support/bench-image.ts'
import { interleave } from './support/interleave.ts'
import { runCommand } from './support/run-command.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about:
    'an image of three gzip layers comes from a registry on loopback: its blobs beside skopeo copy, all of the pull beside skopeo copy and umoci unpack',
  run,
}

async function run({ runs, small, say }: BenchOptions): Promise<BenchReport> {
  const missing = ['docker-registry', 'skopeo', 'umoci'].filter((tool) => !isOnPath(tool))
  if (missing.length > 0)
    return { rows: missing.map((name) => ({ kind: 'absent', name, why: 'is not installed' })), notes: [] }
  const image = await benchImage(small ? 'minbase' : 'large')
  const scratch = await mkdtemp('/tmp/cs-')
  try {
    await using registry = await startRegistry()
    await publish(image, registry)
    const data = join(scratch, 'd')
    await mkdir(data)
    await writeFile(dataLayout(data).config, `[registries."${registry.host}"]\nplain_http = true\n`)
    await using daemon = await startBenchDaemon({ data, kernel: 'without kernel' })
    const verified: number[] = []
    const lanes = contestants({ daemon, scratch, verified, ref: `${registry.host}/bench:1` })
    // The registry reads from the page cache, and code has run once.
    for (const lane of Object.values(lanes)) await lane()
    verified.length = 0
    const values = await interleave({ runs, say, contestants: lanes })
    return report(image, values, verified)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function publish(image: BenchImage, { host }: TestRegistry): Promise<void> {
  const to = `docker://${host}/bench:1`
  const flags = ['--insecure-policy', 'copy', '--preserve-digests', '--dest-tls-verify=false']
  await runCommand('skopeo', [...flags, `oci:${image.layout}:bench`, to])
}

interface Stage {
  readonly daemon: BenchDaemon
  readonly scratch: string
  readonly ref: string
  /** Gets, for each pull, when the last blob was verified. */
  readonly verified: number[]
}

function contestants({ daemon, scratch, ref, verified }: Stage) {
  const layout = join(scratch, 'layout')
  const forget = async () => {
    await daemon.call('DELETE', '/api/sheds/bench').catch(() => undefined)
    await daemon.call('DELETE', `/api/images?ref=${encodeURIComponent(ref)}`).catch(() => undefined)
  }
  const skopeoCopy = async () => {
    await rm(layout, { recursive: true, force: true })
    const flags = ['--insecure-policy', 'copy', '--src-tls-verify=false']
    return (await runCommand('skopeo', [...flags, `docker://${ref}`, `oci:${layout}:bench`])).ms
  }
  return {
    skopeo: skopeoCopy,
    'skopeo and umoci': async () => {
      const copied = await skopeoCopy()
      const bundle = join(scratch, 'bundle')
      try {
        return copied + (await runCommand('umoci', ['unpack', '--image', `${layout}:bench`, bundle])).ms
      } finally {
        await rm(bundle, { recursive: true, force: true })
      }
    },
    // The third in a row: it takes two until V8 has compiled what a pull is made of, in a daemon too.
    'blobs alone': async () => {
      for (let cold = 0; cold < 2; cold++) await timedBlobs(join(scratch, 'blobs'), ref)
      return await timedBlobs(join(scratch, 'blobs'), ref)
    },
    pull: async () => {
      await forget()
      const { ms, verifiedMs } = await timedPull(daemon.layout.root, ref)
      verified.push(verifiedMs)
      return ms
    },
    'pull and create': async () => {
      await forget()
      const words = ['--data', daemon.layout.root, 'create', 'bench', '--image', ref, '--no-start']
      return (await runCommand(process.execPath, [launcher, ...words])).ms
    },
    // Of an image that is here, and of which nothing is made yet but its layers.
    create: async () => {
      await forget()
      await timedPull(daemon.layout.root, ref)
      const words = ['--data', daemon.layout.root, 'create', 'bench', '--image', ref, '--no-start']
      return (await runCommand(process.execPath, [launcher, ...words])).ms
    },
  }
}

const registries = openRegistries()

/** What the daemon does but for the unpacking, in this process, into a store that has nothing. @returns when all of it is here, verified and durable */
async function timedBlobs(data: string, ref: string): Promise<number> {
  await rm(data, { recursive: true, force: true })
  const layout = dataLayout(data)
  const blobs = await openBlobStore(layout)
  const images = openImages({ layout, blobs, registries, users: async () => [], unpackLayer: async () => 'present' })
  const start = performance.now()
  await images.pull({ ref, insecure: true })
  return performance.now() - start
}

/** A pull as a user starts it. @returns when it was over, and when the last blob was here and verified, from the start of the process */
async function timedPull(data: string, ref: string): Promise<{ ms: number; verifiedMs: number }> {
  const start = performance.now()
  const words = [launcher, '--data', data, 'image', 'pull', ref, '--progress', 'json']
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'close') as Promise<[number | null]>
  let verifiedMs = Number.NaN
  for await (const line of createInterface({ input: child.stderr })) {
    if (!line.startsWith('{')) continue
    const { phase, done, total } = JSON.parse(line) as ProgressEvent
    if (phase === 'download' && done === total) verifiedMs = performance.now() - start
  }
  const [code] = await ended
  if (code !== 0) throw new Error(`cowshed image pull ended with code ${code}`)
  return { ms: performance.now() - start, verifiedMs }
}

function report(
  image: BenchImage,
  values: Record<'skopeo' | 'skopeo and umoci' | 'blobs alone' | 'pull' | 'pull and create' | 'create', number[]>,
  verified: readonly number[],
): BenchReport {
  const both = values['pull and create']
  return {
    rows: [
      { kind: 'measured', name: 'skopeo copy', unit: 'ms', ...summarize(values.skopeo) },
      { kind: 'measured', name: 'skopeo copy + umoci unpack', unit: 'ms', ...summarize(values['skopeo and umoci']) },
      {
        kind: 'measured',
        name: 'blobs alone, by a process that is warm',
        unit: 'ms',
        ...summarize(values['blobs alone']),
      },
      { kind: 'measured', name: 'cowshed image pull', unit: 'ms', ...summarize(values.pull) },
      { kind: 'measured', name: '… until every blob is here and verified', unit: 'ms', ...summarize(verified) },
      { kind: 'measured', name: 'create of an image that is not here', unit: 'ms', ...summarize(both) },
      { kind: 'measured', name: 'create after a pull', unit: 'ms', ...summarize(values.create) },
      { kind: 'ratio', name: 'blobs alone / skopeo copy', goal: 1, ...ratios(values['blobs alone'], values.skopeo) },
      {
        kind: 'ratio',
        name: 'blobs of a whole pull, from the start of the command / skopeo copy',
        goal: 1,
        ...ratios(verified, values.skopeo),
      },
      {
        kind: 'ratio',
        name: 'pull, with unpacking / skopeo copy + umoci unpack',
        goal: 1,
        ...ratios(values.pull, values['skopeo and umoci']),
      },
      { kind: 'ratio', name: 'pull and create / pull', goal: 1.25, ...ratios(both, values.pull) },
    ],
    notes: [
      `the image has ${Math.round(image.blobBytes / 1e6)} MB of layers, ${Math.round(image.tarBytes / 1e6)} MB unpacked`,
      'a pull also unpacks every layer, verifies its diff_id and makes all of it durable; skopeo stores blobs in the page cache, umoci files',
      `all of the pull takes ${ratios(values.pull, values.skopeo).median.toFixed(1)} times as long as skopeo copy, which is but a part of that work`,
    ],
  }
}
