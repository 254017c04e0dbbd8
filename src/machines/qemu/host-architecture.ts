import { Problem } from '../../base/index.ts'

/** What differs between the processors that sheds run on. Guests have the host's architecture. */
export interface HostArchitecture {
  readonly qemu: string
  readonly machine: string
  /** The first serial port, as the guest's kernel names it. */
  readonly console: string
  /** Devices that only this machine type has. */
  readonly devices: readonly string[]
  readonly kernelArguments: readonly string[]
}

const architectures: Partial<Record<NodeJS.Architecture, HostArchitecture>> = {
  x64: {
    qemu: 'qemu-system-x86_64',
    // ACPI stays on: it is how the guest finds the virtio-mmio devices (Debian's kernel does not take them from its command line)
    // and how it turns itself off.
    machine: 'microvm,x-option-roms=off,rtc=on,dump-guest-core=off',
    console: 'ttyS0',
    // Tells a panic from a reboot.
    devices: ['pvpanic'],
    // A triple fault: microvm has no other way to reset.
    kernelArguments: ['reboot=t'],
  },
  arm64: {
    qemu: 'qemu-system-aarch64',
    machine: 'virt,dump-guest-core=off',
    console: 'ttyAMA0',
    devices: [],
    kernelArguments: [],
  },
}

/** @throws Problem HOST_UNSUPPORTED */
export function hostArchitecture(arch: NodeJS.Architecture = process.arch): HostArchitecture {
  const found = architectures[arch]
  if (found === undefined) throw new Problem('HOST_UNSUPPORTED', `cannot run VMs on a ${arch} processor`)
  return found
}
