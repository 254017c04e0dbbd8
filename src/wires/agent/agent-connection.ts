import type { Problem } from '../../base/index.ts'
import type { GuestEntry, GuestStat } from '../../formats/index.ts'

/** A path in the guest: text, or bytes where it is not UTF-8. */
export type GuestPath = string | Buffer

export interface CallOptions {
  /** How long the guest may leave the caller without any answer; a paused guest never answers. */
  readonly timeoutMs?: number
}

export interface ExecSpec extends CallOptions {
  /** Empty: the user's login shell. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Default: the home directory for a login shell, else /. */
  readonly cwd?: string
  /** "name", "uid", "name:group" or "uid:gid" as the guest's /etc/passwd and /etc/group say. Default: root. */
  readonly user?: string
  /** With it the program runs on a terminal of that size, and stderr is part of stdout. */
  readonly tty?: { readonly rows: number; readonly cols: number }
  /** Without it the program reads end of file at once. */
  readonly stdin: boolean
}

export interface ExecExit {
  /** As a shell says it: 126 or 127 when the program could not be run or found, 128 + n when signal n ended it. */
  readonly code: number
  readonly signal?: string
}

/**
 * A program that runs in the guest. Both outputs must be read (or given up by ending their iteration): one that nobody reads stops the
 * program after 256 KiB, and nothing else.
 */
export interface AgentExec {
  readonly pid: number
  readonly stdout: AsyncIterable<Buffer>
  readonly stderr: AsyncIterable<Buffer>
  /** Resolves when the guest has room for it. What is written after the program stopped reading is dropped. */
  writeStdin(chunk: Buffer): Promise<void>
  /** End of file; on a terminal what Ctrl-D would do. */
  endStdin(): void
  resize(rows: number, cols: number): void
  /** To the program's process group. @throws Problem INVALID_REQUEST for what is not the name of a Linux signal */
  signal(name: string): void
  /** Hangs up on the program (SIGHUP to its group) and forgets it; `exit` and the outputs reject. */
  cancel(): void
  /** Settles after both outputs have ended. */
  readonly exit: Promise<ExecExit>
}

export interface WriteOptions extends CallOptions {
  readonly mode: number
  /** Without both, an existing file keeps its owner and a new one is root's. */
  readonly uid?: number
  readonly gid?: number
  readonly mtimeMs?: number
}

/**
 * A conversation with the agent of one guest.
 *
 * Every call rejects with AGENT_UNREACHABLE when the connection goes or the guest does not answer in time, GUEST_FILE_NOT_FOUND for a path
 * that is not there, GUEST_FAILED (data.errno) for whatever else the guest says, AGENT_PROTOCOL when it does not keep to the protocol.
 */
export interface AgentConnection {
  readonly hello: { readonly protocol: number; readonly agentVersion: string; readonly bootId: string }
  /** When the root was up, in milliseconds since the guest booted. Pushed by the guest. */
  readonly ready: Promise<{ readonly uptimeMs: number }>
  exec(spec: ExecSpec): Promise<AgentExec>
  /** lstat(2), or stat(2) with follow. */
  stat(path: GuestPath, options?: CallOptions & { readonly follow?: boolean }): Promise<GuestStat>
  list(path: GuestPath, options?: CallOptions): Promise<GuestEntry[]>
  /** Ending the iteration early is fine. */
  readFile(path: GuestPath, options?: CallOptions & { offset?: number; length?: number }): AsyncIterable<Buffer>
  /** The file appears whole or not at all. Follows symlinks; refuses directories and devices. */
  writeFile(path: GuestPath, source: AsyncIterable<Buffer> | Buffer, options: WriteOptions): Promise<void>
  makeDirectory(
    path: GuestPath,
    options?: CallOptions & { readonly mode?: number; readonly parents?: boolean },
  ): Promise<void>
  remove(path: GuestPath, options?: CallOptions & { readonly recursive?: boolean }): Promise<void>
  symlink(target: GuestPath, path: GuestPath, options?: CallOptions): Promise<void>
  readlink(path: GuestPath, options?: CallOptions): Promise<Buffer>
  sync(options?: CallOptions): Promise<void>
  /**
   * Freezes every filesystem that the shed writes to, volumes included. The guest thaws them by itself when this connection goes, and after `longestMs`
   * (default 60 s).
   */
  freeze(options?: CallOptions & { readonly longestMs?: number }): Promise<void>
  /** @throws Problem GUEST_FAILED when it has thawed by itself */
  thaw(options?: CallOptions): Promise<void>
  /** Gives the upper's free blocks back to the drive, or those of the volume on the drive with this serial. */
  trim(options?: CallOptions & { readonly serial?: string }): Promise<{ readonly trimmedBytes: number }>
  /** Mounts the ext4 on the drive with this serial; to be written to, it is made as large as its drive. A directory that is not there is made. */
  mount(
    volume: { readonly serial: string; readonly path: GuestPath; readonly readOnly: boolean },
    options?: CallOptions,
  ): Promise<void>
  /** Waits until the drive of a volume that is mounted has so many bytes, and makes its filesystem as large. */
  grow(drive: { readonly serial: string; readonly bytes: number }, options?: CallOptions): Promise<void>
  /** A guest that was booted with cowshed.wait=1 goes on to its init, and is then ready. */
  begin(options?: CallOptions): Promise<void>
  setClock(unixNanoseconds: bigint, options?: CallOptions): Promise<void>
  /** An empty name is left as it is. At most 512 bytes of entropy. */
  setIdentity(
    identity: { readonly hostname: string; readonly machineId: string; readonly entropy: Buffer },
    options?: CallOptions,
  ): Promise<void>
  /** Resolves when the guest has begun to shut down; it forces the end after `graceMs` (default 30 s). */
  poweroff(options?: CallOptions & { readonly graceMs?: number }): Promise<void>
  /** Resolves when the connection is gone, whatever ended it. */
  readonly closed: Promise<void>
  /** @param problem what everything that is under way rejects with; AGENT_UNREACHABLE when left out */
  close(problem?: Problem): void
}
