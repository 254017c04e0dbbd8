import type { OnProgress } from '../base/index.ts'
import type {
  AddForwardRequest,
  CreateShedReply,
  CreateShedRequest,
  DeleteShedRequest,
  ExecRequest,
  Forward,
  Shed,
  StopShedRequest,
} from '../contract/index.ts'
import type { ImageUser } from '../images/index.ts'
import type { AgentConnection, AgentExec } from '../wires/index.ts'

export interface LongWork {
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
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
  /** Every shed by name, broken ones included. */
  list(): Promise<Shed[]>
  /** Already running is a success. @throws Problem BOOT_FAILED, MACHINE_FAILED, KERNEL_NOT_FOUND */
  start(name: string, work?: LongWork): Promise<Shed>
  /** Asks the guest to shut down, and kills the VM when it has not by the deadline. Already stopped is a success. */
  stop(name: string, request: StopShedRequest): Promise<Shed>
  /**
   * Removes a shed with its disk.
   *
   * @param condition the `changed_at` that the caller decided on: a shed that has changed since is not removed
   * @throws Problem SHED_NOT_STOPPED for a running shed without force, PLAN_CHANGED
   */
  remove(name: string, request: DeleteShedRequest, condition?: { readonly ifUnchangedSince: string }): Promise<void>
  /** Back to the image: a fresh upper. A running shed is stopped first and started again. */
  reset(name: string, work?: LongWork): Promise<Shed>
  /** The agent of a running shed. @throws Problem SHED_NOT_RUNNING, AGENT_UNREACHABLE */
  agent(name: string): Promise<AgentConnection>
  /** Runs a program with the image's environment, working directory and user as defaults. */
  exec(name: string, request: ExecRequest): Promise<AgentExec>
  addForward(name: string, request: AddForwardRequest): Promise<Forward>
  /** @throws Problem FORWARD_NOT_FOUND */
  removeForward(name: string, hostPort: number): Promise<void>
  /** Where the serial console of a shed goes. */
  consolePath(name: string): Promise<string>
  /** Which manifests sheds are pinned to. Fails closed: @throws Problem RECORD_INVALID naming the record that cannot be read */
  imageUsers(): Promise<ImageUser[]>
  /** Lets go of every VM without stopping it: the daemon is going away. */
  release(): Promise<void>
}
