import type { KernelFiles } from './kernel-files.ts'

/** A drive of a machine, in the order in which the guest sees it: the first is /dev/vda. */
export interface DriveSpec {
  readonly id: string
  readonly path: string
  readonly readOnly: boolean
}

/** Everything that a driver needs to know to start one VM. Host paths are absolute. */
export interface MachineSpec {
  /** For process titles and messages. */
  readonly name: string
  /** Unique among all machines of the host for as long as it runs; sockets are named after it. */
  readonly id: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly kernel: KernelFiles
  /** Appended to the kernel's command line: `key=value` words without spaces. */
  readonly kernelArguments: readonly string[]
  readonly drives: readonly DriveSpec[]
  readonly network: 'user' | 'none'
  readonly acceleration: 'kvm' | 'tcg'
  /** The serial console is appended to this file (O_APPEND). */
  readonly consolePath: string
  /** What the VMM itself prints. */
  readonly logPath: string
  /** The VMM holds an exclusive flock on this file from before it starts until it is dead. */
  readonly lockPath: string
  /** A short directory for run-time sockets, which exists, mode 0700. */
  readonly runDirectory: string
  /** 32 hex digits, fresh for each start: the agent channel's key, given to the guest on the kernel command line as `cowshed.key=`. */
  readonly agentKey: string
}

/** Enough to find a VMM again after the daemon was gone. Written to the shed's machine.json before the VMM starts, completed after. */
export interface MachineRecord {
  readonly driver: string
  readonly id: string
  readonly pid: number
  /** Start time of the process in clock ticks since boot: /proc/<pid>/stat field 22. */
  readonly pidStartTime: string
  readonly agentSocket: string
  readonly controlSocket: string
  readonly agentKey: string
  readonly acceleration: 'kvm' | 'tcg'
  readonly driverVersion: string
}

/** How a VM ended. `powerdown`: the guest shut itself down; `reset`: the guest rebooted (cowshed turns it off instead); `killed`/`failed`: it did not mean to. */
export interface MachineExit {
  readonly kind: 'powerdown' | 'reset' | 'panic' | 'killed' | 'failed'
  /** For people: "QEMU was killed by SIGKILL". */
  readonly reason: string
}

export interface Forward {
  readonly guestPort: number
  /** On 127.0.0.1. */
  readonly hostPort: number
}

/** One running VM. */
export interface Machine {
  readonly record: MachineRecord
  /** Settles once, when the VMM is known to be dead (its lock could be taken). Never rejects. */
  readonly exited: Promise<MachineExit>
  /**
   * Settles when the agent in the guest is known to be gone for good while the machine runs, as far as the agent's own connection does not
   * tell: the VMM holds that one open. Never rejects. What happened before a machine was adopted is not known.
   */
  readonly agentGone: Promise<void>
  /** Stops and continues the vCPUs. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Kills the VMM and waits until it is dead. Idempotent. */
  kill(): Promise<void>
  /** Forwards a host port on 127.0.0.1 to the guest; hostPort 0 chooses a free one. @throws Problem PORT_IN_USE, INVALID_REQUEST without a network */
  addForward(forward: Forward): Promise<Forward>
  removeForward(hostPort: number): Promise<void>
  /** The forwards that there are, whoever added them. */
  forwards(): Promise<Forward[]>
  /** Lets go of the VMM without stopping it: the daemon is going away. */
  release(): void
}

/**
 * A way to run a VM. test/conformance/driver.ts is the suite that each driver must pass.
 */
export interface Driver {
  readonly name: string
  /** Whether this host can use the driver. @returns the driver's version @throws Problem TOOL_NOT_FOUND with how to install it */
  probe(): Promise<{ readonly version: string }>
  /** Starts a VM; resolves when the VMM runs and its control socket answers. On failure nothing is left running. @throws Problem MACHINE_FAILED */
  start(spec: MachineSpec, onSpawned: (record: MachineRecord) => Promise<void>): Promise<Machine>
  /** Connects to a VMM that an earlier daemon left running. @returns undefined when it is dead (its lock could be taken) */
  adopt(record: MachineRecord, lockPath: string): Promise<Machine | undefined>
}
