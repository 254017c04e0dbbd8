import type { KernelFiles } from './kernel-files.ts'

/** A drive of a machine, in the order in which the guest sees it: the first is /dev/vda. */
export interface DriveSpec {
  readonly id: string
  /** A file; with `nbd` the unix socket of a server whose one export it is. Others than root must be allowed to search its directory and to connect to it. */
  readonly path: string
  readonly readOnly: boolean
  /** A file unless told. A server that goes away is connected to again; what the guest reads waits for it for half a minute, then fails. */
  readonly kind?: 'file' | 'nbd' | undefined
}

/** How much a machine may read and write in a second, all of its drives together; what is left out is not limited. */
export interface IoLimits {
  readonly readBytesPerSecond?: number | undefined
  readonly writeBytesPerSecond?: number | undefined
  readonly operationsPerSecond?: number | undefined
}

/**
 * Where a machine's RAM is. `shared`: in the file, whoever maps it. `private`: the file is where its RAM begins and is never written, so many
 * machines can have the same one and share its pages in the host's page cache for as long as they do not write to them; it must stay as it is
 * while any of them runs. A file that is not there is made, mode 0600, with nothing but a hole in it.
 */
export interface MachineMemory {
  readonly path: string
  readonly mapping: 'shared' | 'private'
}

/** What a saved state fits to. There is nothing in it that only this host knows. */
export interface StateIdentity {
  readonly driver: string
  readonly driver_version: string
  readonly machine: string
  readonly acceleration: 'kvm' | 'tcg'
  readonly cpus: number
  readonly memory_bytes: number
  /** In the order of the guest. */
  readonly drives: readonly { readonly id: string; readonly read_only: boolean }[]
  readonly network: 'user' | 'none'
  readonly kernel: string
}

/**
 * What a machine goes on from instead of booting. `state`: a file that Machine.saveState wrote, of a machine whose RAM is what `memory` has when
 * `ramReady` is fulfilled, or has now: the VMM starts meanwhile. If that rejects, so does the start.
 * `takeOver`: another machine of the same identity, paused: its RAM is written to this one's, and it has its disks no more until it is resumed,
 * which it may be when this one is dead.
 */
export type Restore =
  | {
      readonly state: string
      readonly belongsTo: StateIdentity
      readonly ramReady?: Promise<void> | undefined
      readonly takeOver?: undefined
    }
  | { readonly takeOver: Machine; readonly state?: undefined }

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
  /** Without it nothing is limited. */
  readonly io?: IoLimits | undefined
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
  /** Without it the machine's RAM is its own, and goes with it. */
  readonly memory?: MachineMemory | undefined
  /** The machine is then paused when it has been started. Needs `memory`. */
  readonly restore?: Restore | undefined
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
  readonly memory?: MachineMemory | undefined
  /** What its state will fit to, when it can be saved. */
  readonly identity?: StateIdentity | undefined
  /** The VMM's descriptor of the directory where its state goes out and comes in; it may open none by name. */
  readonly stateDirectory?: number | undefined
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
  /** Whether they are stopped, whoever did it. */
  isPaused(): Promise<boolean>
  /**
   * Writes the state of the devices of a paused machine whose RAM is a shared file to a new file, mode 0600, which is not durable yet. The
   * machine stays paused; it may go on, or die and its RAM be restored with this state.
   *
   * @throws Problem MACHINE_FAILED, NO_SPACE; the machine can be resumed all the same, and there is no file
   */
  saveState(path: string): Promise<void>
  /** Sends all of a paused machine, its RAM too, to a VMM that listens on a unix socket: for Restore.takeOver. @throws Problem MACHINE_FAILED */
  handOver(socketPath: string): Promise<void>
  /**
   * Does something short while the VMM does nothing at all, not even write to its console, unlike a machine whose vCPUs are paused.
   *
   * @returns what the work returned; undefined when the VMM cannot be stopped, and the work was not done
   */
  whileStill<T>(work: () => T): Promise<T | undefined>
  /** Makes a drive that is written to larger, its file included; the guest sees it a moment later. @throws Problem QMP_FAILED */
  growDrive(id: string, bytes: number): Promise<void>
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
  /** What a state saved of a machine like this one would fit to. */
  identify(spec: MachineSpec): Promise<StateIdentity>
  /**
   * Starts a VM; resolves when the VMM runs and its control socket answers, and with `restore` when it is paused in that state. On failure
   * nothing is left running.
   *
   * @throws Problem MACHINE_FAILED; STATE_MISMATCH before anything runs when the state to be restored belongs to another machine, or its RAM
   * is not of its size
   */
  start(spec: MachineSpec, onSpawned: (record: MachineRecord) => Promise<void>): Promise<Machine>
  /** Connects to a VMM that an earlier daemon left running. @returns undefined when it is dead (its lock could be taken) */
  adopt(record: MachineRecord, lockPath: string): Promise<Machine | undefined>
}
