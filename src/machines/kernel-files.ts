/** A guest kernel that is ready to boot. `id` is content-addressed by kernel, modules, agent and initrd writer. */
export interface KernelFiles {
  readonly id: string
  /** `uname -r` of the guest. */
  readonly release: string
  readonly vmlinuz: string
  readonly initrd: string
}
