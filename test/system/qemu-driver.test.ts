import { describeDriver } from '../conformance/driver.ts'

const qemu = process.arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'

// Emulation runs everywhere; whether this host has more to offer is what probeAcceleration finds out.
describeDriver('qemu', {
  module: new URL('../../src/machines/index.ts', import.meta.url),
  make: 'createQemuDriver',
  acceleration: 'tcg',
  tools: [qemu],
})
