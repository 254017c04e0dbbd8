/**
 * machines: one VM.
 *
 * Belongs here: the driver interface and its drivers, the guest's kernel and initrd, whether this host can accelerate.
 * Promises: a machine that failed to start has left nothing; a VMM outlives this process and is found again; a death is proved by a kernel lock.
 * Never: knows what a shed or an image is, makes a disk, decides when a VM starts or ends.
 */
export type {
  Driver,
  DriveSpec,
  Forward,
  IoLimits,
  Machine,
  MachineExit,
  MachineMemory,
  MachineRecord,
  MachineSpec,
  Restore,
  StateIdentity,
} from './driver.ts'
export { currentKernel, kernelOf } from './kernel/current-kernel.ts'
export {
  debianKernelPackage,
  downloadDebianKernel,
  type KernelPackage,
  type KernelSource,
} from './kernel/debian-kernel.ts'
export { type InstalledKernel, type InstallKernel, installKernel } from './kernel/install-kernel.ts'
export type { KernelFiles } from './kernel-files.ts'
export { type Acceleration, forgetAcceleration, probeAcceleration } from './probe-acceleration.ts'
export { type Confinement, confinementOfVms } from './qemu/confine/confinement.ts'
export { sweepVmCgroups } from './qemu/confine/vm-cgroup.ts'
export { ensureVmUser } from './qemu/confine/vm-user.ts'
export { createQemuDriver } from './qemu/create-qemu-driver.ts'
