import type { MachineSpec, StateIdentity } from '../../driver.ts'
import { hostArchitecture } from '../host-architecture.ts'
import { ramBytes } from '../ram-bytes.ts'

/** What has to be the same for QEMU to take a state for its own. @see Driver.identify */
export function identifyState(spec: MachineSpec, driverVersion: string): StateIdentity {
  return {
    driver: 'qemu',
    driver_version: driverVersion,
    machine: hostArchitecture().machine,
    acceleration: spec.acceleration,
    cpus: spec.cpus,
    memory_bytes: ramBytes(spec),
    drives: spec.drives.map(({ id, readOnly }) => ({ id, read_only: readOnly })),
    network: spec.network,
    kernel: spec.kernel.id,
  }
}
