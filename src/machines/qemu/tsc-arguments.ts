import { readFile } from 'node:fs/promises'
import { runTool } from '../../host/index.ts'

/**
 * What a guest under software emulation must be told of its time stamp counter, as words of its kernel's command line. It sees the host's
 * counter, and a microvm has neither HPET nor a PM timer to measure it against, so Linux falls back to less, which a busy host breaks:
 *
 * - without `tsc_early_khz=` it measures against the PIT, and one preemption of QEMU at the wrong moment makes that fail. Without a TSC
 *   there is no timer at all, and the guest hangs in calibrate_delay() before it prints anything (seen: 3 of 15 boots);
 * - without `tsc=reliable` a watchdog compares it with ticks, which an emulator that is not scheduled misses, and takes the ticks for the
 *   truth: the guest's clock falls behind from then on.
 *
 * @see Linux, Documentation/admin-guide/kernel-parameters.txt
 */
export async function tscArguments(): Promise<string[]> {
  const khz = await tscFrequency()
  return ['tsc=reliable', ...(khz === undefined ? [] : [`tsc_early_khz=${khz}`])]
}

/** In kHz; undefined when it cannot be known for sure: the guest then measures. */
async function tscFrequency(): Promise<number | undefined> {
  const log = await runTool('dmesg', [], { timeoutMs: 5000 }).catch(() => undefined)
  const cpuinfo = await readFile('/proc/cpuinfo', 'latin1').catch(() => '')
  return tscInKernelLog(log?.stdout.toString('latin1') ?? '') ?? tscInCpuinfo(cpuinfo)
}

/** The most exact of what the kernel said when it booted. The processor's frequency is only told apart from the TSC's when they differ. */
export function tscInKernelLog(log: string): number | undefined {
  const patterns = [
    /tsc: Refined TSC clocksource calibration: ([\d.]+) MHz/,
    /tsc: Detected ([\d.]+) MHz TSC/,
    /tsc: Detected ([\d.]+) MHz processor/,
  ]
  return patterns.map((pattern) => kilohertz(pattern.exec(log)?.[1])).find((khz) => khz !== undefined)
}

/** Processors with aperfmperf show the frequency of the moment there, which is not the TSC's; a VM shows what its TSC was found to be. */
export function tscInCpuinfo(cpuinfo: string): number | undefined {
  const flags = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.split(' ') ?? []
  if (!flags.includes('constant_tsc') || flags.includes('aperfmperf')) return undefined
  return kilohertz(/^cpu MHz\s*: ([\d.]+)$/m.exec(cpuinfo)?.[1])
}

function kilohertz(megahertz: string | undefined): number | undefined {
  const khz = Math.round(Number(megahertz) * 1000)
  return khz >= 100_000 && khz <= 20_000_000 ? khz : undefined
}
