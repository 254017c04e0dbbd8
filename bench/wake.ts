import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { compressNow } from '../test/support/compress-now.ts'
import { type BareVmRecipe, execStraight, recipeOf } from './support/bare-vm.ts'
import { type BareRam, prepareBareWake } from './support/bare-wake.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { type BenchDaemon, image, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { missingVmTools } from './support/missing-vm-tools.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'an exec in a shed that sleeps to its answer, against QEMU alone with -incoming and the same files',
  run,
}

const memoryBytes = 256 * 2 ** 20
const caches = ['hot', 'cold'] as const
type Cache = (typeof caches)[number]

interface Place {
  readonly daemon: BenchDaemon
  readonly recipe: BareVmRecipe
  readonly directory: string
  readonly ramDirectory: string
}

async function run({ runs, say }: BenchOptions): Promise<BenchReport> {
  const missing = missingVmTools()
  if (missing.length > 0) return { rows: missing, notes: [] }
  const directory = await mkdtemp('/tmp/cs-')
  const ramDirectory = join('/dev/shm', `cowshed-bench-${process.pid}`)
  try {
    await using daemon = await startBenchDaemon({ data: join(directory, 'd'), kernel: 'with kernel' })
    await daemon.call('POST', '/api/sheds', { name: 'web', image, memory_bytes: memoryBytes })
    checkTrue(await daemon.exec('web', ['/bin/true']))
    const place = { daemon, recipe: await recipeOf(daemon, 'web'), directory, ramDirectory }
    const stop = { keep_memory: true }
    await daemon.call('POST', '/api/sheds/web/stop', stop)
    const values = await interleave({
      runs,
      say,
      contestants: {
        'cowshed hot': () => wakeShed(place, 'hot'),
        'compressed hot': () => wakeCompressed(place, 'hot'),
        'copied hot': () => wakeBare(place, 'copied', 'hot'),
        'mapped hot': () => wakeBare(place, 'mapped', 'hot'),
        'cowshed cold': () => wakeShed(place, 'cold'),
        'compressed cold': () => wakeCompressed(place, 'cold'),
        'copied cold': () => wakeBare(place, 'copied', 'cold'),
        'mapped cold': () => wakeBare(place, 'mapped', 'cold'),
      },
    })
    return report(values, recipeNote(place.recipe))
  } finally {
    await rm(ramDirectory, { recursive: true, force: true })
    await rm(directory, { recursive: true, force: true })
  }
}

/** It sleeps before, and sleeps again after. */
async function wakeShed({ daemon }: Place, cache: Cache, isCompressed = false): Promise<number> {
  const { memSnap, memSnapZst, vmSnap } = daemon.layout.shed('web')
  setCache([isCompressed ? memSnapZst : memSnap, vmSnap], cache)
  const start = performance.now()
  checkTrue(await daemon.exec('web', ['/bin/true']))
  const ms = performance.now() - start
  await daemon.call('POST', '/api/sheds/web/stop', { keep_memory: true })
  return ms
}

/** As if it had slept for long: its daemon, which has nothing else to do, waits for longer than this takes. */
async function wakeCompressed(place: Place, cache: Cache): Promise<number> {
  if ((await compressNow(place.daemon, 'web')) === undefined) throw new Error('its memory was not compressed')
  return await wakeShed(place, cache, true)
}

async function wakeBare(
  { daemon, recipe, directory, ramDirectory }: Place,
  ram: BareRam,
  cache: Cache,
): Promise<number> {
  const asleep = daemon.layout.shed('web').dir
  const bare = await prepareBareWake({ recipe, asleep, directory: join(directory, 'bare'), ramDirectory, ram })
  setCache(bare.files, cache)
  const start = performance.now()
  await using vm = await bare.start()
  checkTrue(await execStraight(vm.agent, ['/bin/true']))
  return performance.now() - start
}

/** Of these files alone: others use this host. @see dd(1), nocache */
function setCache(files: readonly string[], cache: Cache): void {
  for (const file of files) {
    execFileSync('sync', [file])
    if (cache === 'cold') execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'])
    else execFileSync('dd', [`if=${file}`, 'of=/dev/null', 'bs=1M', 'status=none'])
  }
}

function checkTrue(code: number): void {
  if (code !== 0) throw new Error(`true ended with ${code}`)
}

function recipeNote({ args }: BareVmRecipe): string {
  return `acceleration: ${args[args.indexOf('-accel') + 1]?.split(',')[0]}; the files of QEMU alone were copied before its time began, but for what it copies to a tmpfs as cowshed does`
}

type Name = `${'cowshed' | 'compressed' | BareRam} ${Cache}`

function report(values: Record<Name, number[]>, note: string): BenchReport {
  const rows = caches.flatMap((cache): BenchReport['rows'] => {
    const [cowshed, compressed] = [values[`cowshed ${cache}`], values[`compressed ${cache}`]]
    const [copied, mapped] = [values[`copied ${cache}`], values[`mapped ${cache}`]]
    return [
      { kind: 'measured', name: `cowshed, page cache ${cache}`, unit: 'ms', ...summarize(cowshed) },
      { kind: 'measured', name: `cowshed, RAM compressed, ${cache}`, unit: 'ms', ...summarize(compressed) },
      { kind: 'measured', name: `QEMU alone, RAM copied, ${cache}`, unit: 'ms', ...summarize(copied) },
      { kind: 'measured', name: `QEMU alone, RAM mapped, ${cache}`, unit: 'ms', ...summarize(mapped) },
      { kind: 'ratio', name: `RAM compressed / not, ${cache}`, goal: 1.5, ...ratios(compressed, cowshed) },
      { kind: 'ratio', name: `cowshed / RAM copied, ${cache}`, goal: 1.3, ...ratios(cowshed, copied) },
      { kind: 'ratio', name: `cowshed / RAM mapped, ${cache}`, goal: 1.3, ...ratios(cowshed, mapped) },
    ]
  })
  return { rows, notes: [note] }
}
