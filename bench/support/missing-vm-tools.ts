import { kernelTools } from '../../test/support/kernel.ts'
import { isOnPath } from '../../test/support/needs.ts'
import type { Absent } from './bench.ts'

/** What this machine has not and a bench with VMs needs. */
export function missingVmTools(): Absent[] {
  const qemu = process.arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'
  const missing = [qemu, 'busybox', ...kernelTools].filter((tool) => !isOnPath(tool))
  return missing.map((name) => ({ kind: 'absent', name, why: 'is not installed' }))
}
