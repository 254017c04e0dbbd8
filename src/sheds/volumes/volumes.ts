import type { CreateVolumeReply, CreateVolumeRequest, ResizeVolumeReply, Volume } from '../../contract/index.ts'
import type { SeenFiles } from '../../host/index.ts'
import type { TrimmedShed } from '../verbs/trim-shed.ts'

/** All volumes of one data directory. Every method that takes a name throws VOLUME_NOT_FOUND for one that is not there. */
export interface Volumes {
  /** Makes an empty volume. Again with the same size: `unchanged`. @throws Problem VOLUME_ALREADY_EXISTS, INVALID_REQUEST, NO_SPACE */
  create(request: CreateVolumeRequest): Promise<CreateVolumeReply>
  get(name: string): Promise<Volume>
  /** Every volume by name, broken ones included. @param seen as of Sheds.list */
  list(seen?: SeenFiles): Promise<Volume[]>
  /**
   * Removes a volume that no shed has.
   *
   * @param force also what is left of one whose record or disk is missing
   * @throws Problem VOLUME_IN_USE naming who has it, PINNED, RECORD_INVALID; a shed that cannot be read may have any volume
   */
  remove(name: string, options: { readonly force: boolean }): Promise<void>
  /**
   * Makes a volume larger. A running guest that writes to it makes its filesystem larger at once, else the next one does that mounts it to write to it. The same
   * size again finishes what was cut off.
   *
   * @throws Problem INVALID_REQUEST to make it smaller, VOLUME_IN_USE while running sheds read it, GUEST_FAILED, AGENT_UNREACHABLE, NO_SPACE
   */
  resize(name: string, bytes: number): Promise<ResizeVolumeReply>
  /**
   * Makes a volume with what another one has. A running guest that writes to it is frozen for as long as a clone takes that shares extents.
   *
   * @throws Problem VOLUME_ALREADY_EXISTS, VOLUME_IN_USE where it would have to be copied while a guest waits, AGENT_UNREACHABLE, NO_SPACE
   */
  clone(name: string, newName: string): Promise<Volume>
  /**
   * Copies the volume's disk as it is at one moment to a new file, sharing extents where it can; a running guest is frozen for it as for a clone.
   *
   * @param to in staging
   * @throws Problem VOLUME_IN_USE, AGENT_UNREACHABLE, NO_SPACE
   */
  copyDisk(name: string, to: string): Promise<void>
  /** The volume's disk, if no running shed writes to it at this moment. It is to be looked at, not to be read. */
  restingDisk(name: string): Promise<string | undefined>
  /**
   * Makes a volume of a disk that `make` puts at the path that it is given, in staging; there is all of it in the end, or nothing.
   *
   * @throws Problem VOLUME_ALREADY_EXISTS, before anything is made if it is so by then; what `make` throws
   */
  createFrom(name: string, make: (path: string) => Promise<void>): Promise<Volume>
  /**
   * Gives what the volume's filesystem has free back to the host: the guest that writes to it does, else its block bitmaps are read, and holes punched.
   *
   * @throws Problem VOLUME_IN_USE while running sheds read it, SHED_NOT_STOPPED for a dry run while one writes to it, EXT4_INVALID, AGENT_UNREACHABLE
   */
  trim(name: string, options: { readonly dryRun: boolean }): Promise<TrimmedShed>
  /** Keeps a volume from being removed by anything, or lets it go again; also a broken one. */
  protect(name: string, isProtected: boolean): Promise<Volume>
}
