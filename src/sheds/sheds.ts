import type { Digest, OnProgress } from '../base/index.ts'
import type {
  AddForwardRequest,
  CreateShedReply,
  CreateShedRequest,
  DeleteShedRequest,
  ExecRequest,
  ForkShedReply,
  ForkShedRequest,
  Forward,
  SecretUse,
  SetLimitsRequest,
  SetThermalRequest,
  Shed,
  StopShedRequest,
  VolumeMount,
} from '../contract/index.ts'
import type { SeenFiles } from '../host/index.ts'
import type { ImageUser } from '../images/index.ts'
import type { AgentConnection, AgentExec } from '../wires/index.ts'
import type { Occupant } from './admission/admission.ts'
import type { ShedSecrets } from './secrets/shed-secrets.ts'
import type { Snapshots } from './snapshots/snapshots.ts'
import type { StartWork } from './verbs/start-shed.ts'
import type { TrimmedShed } from './verbs/trim-shed.ts'
import type { Volumes } from './volumes/volumes.ts'

export interface LongWork {
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

export interface AgentUse extends Disposable {
  readonly agent: AgentConnection
}

/**
 * All sheds of one data directory. Names are checked here; every method throws SHED_NOT_FOUND for a name that is not there and SHED_BUSY when
 * another transition of the same shed is under way and does not end in time.
 */
export interface Sheds {
  /**
   * Makes a shed and, unless told otherwise, starts it. Again with the same settings: `unchanged`.
   *
   * On failure nothing is left but the console of a failed boot, which the message names.
   * @throws Problem SHED_ALREADY_EXISTS (same name, other settings), IMAGE_NOT_FOUND, KERNEL_NOT_FOUND, NO_SPACE, BOOT_FAILED
   */
  create(request: CreateShedRequest, work?: LongWork): Promise<CreateShedReply>
  get(name: string): Promise<Shed>
  /**
   * Every shed by name, broken ones included. One that is as it was is the same value.
   *
   * @param seen what files were a moment ago, for who has just looked at all of them
   */
  list(seen?: SeenFiles): Promise<Shed[]>
  /** Already running is a success; one that is paused or sleeps is woken. @throws Problem BOOT_FAILED, MACHINE_FAILED, KERNEL_NOT_FOUND; as wake does */
  start(name: string, work?: StartWork): Promise<Shed>
  /** Has its vCPUs stand still; its VM, its memory and its forwards stay. Already paused is a success. @throws Problem SHED_NOT_RUNNING */
  pause(name: string): Promise<Shed>
  /**
   * Has a shed that is paused or sleeps go on where it was, and sets its clock. Already running is a success. What was kept of its memory is used up; if it is
   * older than the disk, the shed is booted from that, and its `status_reason` says so.
   *
   * @throws Problem SHED_NOT_RUNNING for a stopped one; HOST_FULL, MEMORY_DAMAGED, STATE_MISMATCH, MACHINE_FAILED, NO_SPACE: it sleeps then as it did
   */
  wake(name: string, work?: LongWork): Promise<Shed>
  /**
   * Makes sheds that are copies of one: they go on from what is in its memory, if there is anything, with copies of its disks and volumes and as somebody else each. It
   * stands still for as long as that is cut, and goes on as it was.
   *
   * @throws Problem SHED_ALREADY_EXISTS, VOLUME_ALREADY_EXISTS, HOST_FULL, INVALID_REQUEST before it is made to wait; MEMORY_DAMAGED, MACHINE_FAILED, BOOT_FAILED,
   *   NO_SPACE: none of them is there then
   */
  fork(name: string, request: ForkShedRequest, work?: LongWork): Promise<ForkShedReply>
  /**
   * Asks the guest to shut down, and kills the VM when it has not by the deadline; a shed that sleeps is woken for it if there is to be time. Already stopped is a
   * success. With `keep_memory` it falls asleep instead: all that is in its memory is kept on the disk, and its VM ends.
   *
   * @throws Problem SHED_NOT_RUNNING, MACHINE_FAILED, NO_SPACE of one that was to fall asleep: it is then as it was
   */
  stop(name: string, request: Pick<StopShedRequest, 'timeout_ms'> & Partial<StopShedRequest>): Promise<Shed>
  /**
   * Removes a shed with its disk.
   *
   * @param condition the `changed_at` that the caller decided on: a shed that has changed since is not removed
   * @throws Problem SHED_NOT_STOPPED for a running shed without force, PINNED for a protected one whatever force, PLAN_CHANGED
   */
  remove(name: string, request: DeleteShedRequest, condition?: { readonly ifUnchangedSince: string }): Promise<void>
  /** Keeps a shed and its disk from being removed by anything, or lets it go again; also one whose record cannot be used. */
  protect(name: string, isProtected: boolean): Promise<Shed>
  /** Back to the image: a fresh upper. A running shed is stopped first and started again. @throws Problem PINNED */
  reset(name: string, work?: LongWork): Promise<Shed>
  /**
   * Gives what the shed's filesystem has free back to the host: its guest does when it runs, else its block bitmaps are read, and holes punched.
   *
   * @throws Problem SHED_NOT_STOPPED for a dry run of one that runs, AGENT_UNREACHABLE, GUEST_FAILED, EXT4_INVALID when its filesystem is not in order
   */
  trim(name: string, options: { readonly dryRun: boolean }): Promise<TrimmedShed>
  /**
   * Gives a stopped shed a volume, or the one that it has another place.
   *
   * @throws Problem SHED_NOT_STOPPED, INVALID_REQUEST, VOLUME_NOT_FOUND, VOLUME_IN_USE naming who has it, VOLUME_NOT_CLEAN to be read only
   */
  attachVolume(name: string, mount: VolumeMount): Promise<Shed>
  /** @throws Problem SHED_NOT_STOPPED, VOLUME_NOT_FOUND when it does not have it */
  detachVolume(name: string, volume: string): Promise<Shed>
  /** The sheds that take of what config.toml allows sheds to have of this host, the largest first. */
  occupants(): Promise<Occupant[]>
  readonly volumes: Volumes
  readonly snapshots: Snapshots
  /**
   * Gives a shed a secret: as a variable to what runs in it from now on, as a file from its next start on.
   *
   * @throws Problem SECRET_NOT_FOUND, RECORD_INVALID, PERMISSION_DENIED, INVALID_REQUEST
   */
  giveSecret(name: string, use: SecretUse): Promise<Shed>
  /** @throws Problem SECRET_NOT_FOUND when it is not given it */
  takeSecret(name: string, secret: string): Promise<Shed>
  readonly secrets: ShedSecrets
  /** Says what becomes of a shed that nobody uses; also of one that runs. */
  set(name: string, request: SetThermalRequest): Promise<Shed>
  /**
   * Says what a shed may have of its host from its next start on; its disk grows at once.
   *
   * @throws Problem SHED_NOT_STOPPED for one that has a VM or sleeps; INVALID_REQUEST for what this host does not have, and for a smaller disk; EXT4_INVALID for a
   *   disk whose filesystem is not in order; NO_SPACE
   */
  setLimits(name: string, request: SetLimitsRequest): Promise<Shed>
  /** The agent of a shed, which counts as used until what is returned is disposed of. @throws Problem SHED_NOT_RUNNING, AGENT_UNREACHABLE */
  useAgent(name: string): Promise<AgentUse>
  /** Runs a program with the image's environment, working directory and user as defaults. */
  exec(name: string, request: ExecRequest): Promise<AgentExec>
  /** Of a shed that runs or sleeps; who connects uses it. @throws Problem PORT_IN_USE, SHED_NOT_RUNNING, INVALID_REQUEST without a network */
  addForward(name: string, request: AddForwardRequest): Promise<Forward>
  /** @throws Problem FORWARD_NOT_FOUND */
  removeForward(name: string, hostPort: number): Promise<void>
  /** Where the serial console of a shed goes. */
  consolePath(name: string): Promise<string>
  /**
   * Does something short to the console of a shed while nobody writes to it: of one that runs, the VMM is held still.
   *
   * @throws Problem SHED_BUSY when it cannot be, and the work was not done
   */
  whileConsoleRests<T>(name: string, work: () => T): Promise<T>
  /** What could not be verified so far is right: its sheds say so from now on. @see lowerIsRight */
  lowerIsRight(chunkIndex: Digest): Promise<void>
  /** It is wrong: its sheds fail. @see failSheds */
  failSheds(chunkIndex: Digest, why: { readonly reason: string; readonly since: string }): Promise<string[]>
  /** Which manifests sheds and snapshots are pinned to. Fails closed: @throws Problem RECORD_INVALID naming the record that cannot be read */
  imageUsers(): Promise<ImageUser[]>
  /** Lets go of every VM without stopping it: the daemon is going away. */
  release(): Promise<void>
}
