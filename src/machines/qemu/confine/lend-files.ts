import { closeSync, constants, openSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { problemFromSystem } from '../../../base/index.ts'
import { listenOnUnix } from '../../../host/index.ts'
import type { DriveSpec, MachineSpec } from '../../driver.ts'

/** What QEMU has open from its start, so that it need not be allowed to open anything of ours. */
export interface LentFiles extends Disposable {
  /** Ours, in the order of QEMU's: 3, 4, … */
  readonly inherit: readonly number[]
  /** The machine, with its files by the names that they have for QEMU. */
  readonly spec: MachineSpec
  /** QEMU's descriptors of its monitor and of the agent's channel. */
  readonly sockets: { readonly qmp: number; readonly agent: number }
  /** QEMU's descriptors that it is to have as /dev/fdset/<number>. */
  readonly fdSets: readonly number[]
  /** QEMU's descriptor of the directory for its state. */
  readonly stateDirectory: number | undefined
  /** What QEMU said, with the names that files have for us. */
  explain(text: string): string
}

export interface Lend {
  /** The descriptor of the machine's lock, which QEMU only keeps. */
  readonly lock: number
  readonly sockets: SocketPaths
  readonly stateDirectory: string | undefined
}

/** Where nothing is yet. */
export interface SocketPaths {
  readonly qmp: string
  readonly agent: string
}

/**
 * Opens all that a machine needs. Each disk is opened once, so that the locks which QEMU takes on it are those of the description that it was
 * lent, and nobody's but QEMU's once ours is closed.
 *
 * @throws Problem FILE_NOT_FOUND, PERMISSION_DENIED, IO_FAILED; nothing is open then
 */
export function lendFiles(spec: MachineSpec, { lock, sockets, stateDirectory }: Lend): LentFiles {
  const lending = new Lending(lock)
  try {
    const kernel = {
      ...spec.kernel,
      vmlinuz: lending.asFile(spec.kernel.vmlinuz),
      initrd: lending.asFile(spec.kernel.initrd),
    }
    const drives = spec.drives.map((drive) => ({ ...drive, path: lentDrive(lending, drive) }))
    // O_APPEND: it can be truncated in place while QEMU writes to it.
    const consolePath = lending.asSet(spec.consolePath, constants.O_WRONLY | constants.O_APPEND)
    const memory = spec.memory && { ...spec.memory, path: lending.asFile(spec.memory.path, constants.O_RDWR) }
    return {
      spec: { ...spec, kernel, drives, consolePath, memory },
      stateDirectory: stateDirectory === undefined ? undefined : lending.asDirectory(stateDirectory),
      sockets: { qmp: lending.asSocket(sockets.qmp), agent: lending.asSocket(sockets.agent) },
      inherit: lending.inherit,
      fdSets: [...lending.sets.keys()],
      explain: (text) => text.replaceAll(/\/dev\/fdset\/(\d+)/g, (name, set) => lending.sets.get(Number(set)) ?? name),
      [Symbol.dispose]: () => lending.end(),
    }
  } catch (error) {
    lending.end()
    throw error
  }
}

/** 0 to 2 are standard input, output and error. */
const firstDescriptor = 3

class Lending {
  readonly inherit: number[]
  /** The paths of what is lent as a set, by its number. */
  readonly sets = new Map<number, string>()
  readonly #closing: (() => void)[] = []

  constructor(lock: number) {
    this.inherit = [lock]
  }

  /** For what QEMU opens itself: to open a set is to have it. */
  asSet(path: string, flags: number): string {
    const set = this.#open(path, flags)
    this.sets.set(set, path)
    return `/dev/fdset/${set}`
  }

  /** For what libraries of QEMU open, which know of no sets. It is opened anew, wherever it is: only its own mode must allow that. */
  asFile(path: string, flags = constants.O_RDONLY): string {
    return `/proc/self/fd/${this.#open(path, flags)}`
  }

  /** What is below /proc/self/fd/<number> is reached whatever is above that directory. */
  asDirectory(path: string): number {
    return this.#open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  }

  asSocket(path: string): number {
    const socket = listenOnUnix(path)
    this.#closing.push(() => socket[Symbol.dispose]())
    return this.#lend(socket.fd)
  }

  end(): void {
    for (let close = this.#closing.pop(); close !== undefined; close = this.#closing.pop()) close()
  }

  #open(path: string, flags: number): number {
    const fd = openFile(path, flags)
    this.#closing.push(() => closeSync(fd))
    return this.#lend(fd)
  }

  /** @returns the number that it has for QEMU */
  #lend(fd: number): number {
    return firstDescriptor + this.inherit.push(fd) - 1
  }
}

/** A server is connected to again and again, so it is reached by its name, below its directory. */
function lentDrive(lending: Lending, drive: DriveSpec): string {
  if (drive.kind !== 'nbd') return lending.asSet(drive.path, flagsOf(drive))
  return `/proc/self/fd/${lending.asDirectory(dirname(drive.path))}/${basename(drive.path)}`
}

function flagsOf({ readOnly }: DriveSpec): number {
  return readOnly ? constants.O_RDONLY : constants.O_RDWR
}

function openFile(path: string, flags: number): number {
  try {
    return openSync(path, flags)
  } catch (error) {
    throw problemFromSystem(error, `open ${path} for QEMU`)
  }
}
