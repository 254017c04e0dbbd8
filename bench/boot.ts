import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execStraight, prepareBareVm, recipeOf } from './support/bare-vm.ts'
import type { Bench, BenchOptions, BenchReport } from './support/bench.ts'
import { image, startBenchDaemon } from './support/bench-daemon.ts'
import { interleave } from './support/interleave.ts'
import { missingVmTools } from './support/missing-vm-tools.ts'
import { ratios, summarize } from './support/statistics.ts'

export const bench: Bench = {
  about: 'create to the first exec answered, against QEMU alone with the same kernel, initrd, disks and arguments',
  run,
}

async function run({ runs, say }: BenchOptions): Promise<BenchReport> {
  const missing = missingVmTools()
  if (missing.length > 0) return { rows: missing, notes: [] }
  // Short, and not below $TMPDIR: a socket's path has 107 bytes.
  const directory = await mkdtemp('/tmp/cs-')
  try {
    await using daemon = await startBenchDaemon({ data: join(directory, 'd'), kernel: 'with kernel' })
    const create = () => daemon.call('POST', '/api/sheds', { name: 'web', image })
    // The first boot probes the acceleration, and puts kernel and lower into the page cache.
    await create()
    const recipe = await recipeOf(daemon, 'web')
    const remove = () => daemon.call('DELETE', '/api/sheds/web?force=true')
    await remove()
    const values = await interleave({
      runs,
      say,
      contestants: {
        cowshed: async () => {
          const start = performance.now()
          await create()
          checkTrue(await daemon.exec('web', ['/bin/true']))
          const ms = performance.now() - start
          await remove()
          return ms
        },
        qemu: async () => {
          const boot = await prepareBareVm(recipe, join(directory, 'bare'))
          const start = performance.now()
          await using vm = await boot()
          checkTrue(await execStraight(vm.agent, ['/bin/true']))
          return performance.now() - start
        },
      },
    })
    return report(values, recipe.args)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function checkTrue(code: number): void {
  if (code !== 0) throw new Error(`true ended with ${code}`)
}

function report({ cowshed, qemu }: Record<'cowshed' | 'qemu', number[]>, args: readonly string[]): BenchReport {
  return {
    rows: [
      { kind: 'measured', name: 'cowshed', unit: 'ms', ...summarize(cowshed) },
      { kind: 'measured', name: 'QEMU alone', unit: 'ms', ...summarize(qemu) },
      { kind: 'ratio', name: 'cowshed / QEMU alone', goal: 1.15, ...ratios(cowshed, qemu) },
    ],
    notes: [
      `acceleration: ${args[args.indexOf('-accel') + 1]?.split(',')[0]}; the disk of QEMU alone was made before its time began`,
    ],
  }
}
