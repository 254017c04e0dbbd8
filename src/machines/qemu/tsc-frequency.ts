import { readFile } from 'node:fs/promises'
import { runTool } from '../../host/index.ts'

/**
 * The frequency of this host's time stamp counter in kHz, which is also what a guest under software emulation sees.
 *
 * Such a guest must be told (`tsc_early_khz=`): a microvm has neither HPET nor a PM timer, so Linux measures the TSC against the PIT, and
 * one preemption of QEMU by a busy host at the wrong moment makes that fail. Without a TSC there is no timer at all, and the guest hangs
 * in calibrate_delay() before it prints anything.
 *
 * @returns undefined when it cannot be known for sure: the guest then measures
 */
export async function tscFrequency(): Promise<number | undefined> {
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
