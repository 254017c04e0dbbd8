import { lstat, mkdir, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { DataLayout } from '../../base/index.ts'
import { filesystemOf, namesIn } from '../../host/index.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { makeHole } from './make-hole.ts'

/** What a tmpfs is to have left beside all RAM that is on it: others use it too, and one that is full kills whoever writes to it. */
const reserveBytes = 64 * 2 ** 20

export interface RamFilesOptions {
  readonly layout: DataLayout
  /** A directory of this data directory alone, to be made when it is needed, on a tmpfs if there is one. */
  readonly ramDirectory: string
}

/**
 * Where the RAM of running VMs is. On a tmpfs as long as all of it fits there, however much of it guests will touch: on a disk the kernel would write the RAM
 * of idle guests for nothing (docs/decisions/0081-where-ram-lives-while-hot.md). Else beside the shed's disk.
 */
export class RamFiles {
  readonly #layout: DataLayout
  readonly #directory: string
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ layout, ramDirectory }: RamFilesOptions) {
    this.#layout = layout
    this.#directory = ramDirectory
  }

  /**
   * Makes the file for the RAM of a VM that is to be started, all of it a hole, mode 0600. It takes its place at once: of two for which there is room for one,
   * one goes to the disk.
   *
   * @returns its path
   * @throws Problem NO_SPACE, IO_FAILED
   */
  async place({ name, memory_bytes: bytes }: Pick<ShedRecord, 'name' | 'memory_bytes'>): Promise<string> {
    return await this.#alone(async () => {
      await this.#removeFiles(name)
      const path = (await this.#hasRoom(bytes)) ? this.#onTmpfs(name) : this.#layout.shed(name).ram
      await makeHole(path, bytes)
      return path
    })
  }

  /** Of a VM that is dead. */
  async remove(name: string): Promise<void> {
    await this.#alone(async () => {
      await this.#removeFiles(name)
      // Gone with the last.
      await rmdir(this.#directory).catch(() => undefined)
    })
  }

  /** Removes what is on the tmpfs and is not the RAM of one of these: of sheds that are gone, and what a daemon left that was killed while it looked what fits. */
  async sweep(kept: ReadonlySet<string>): Promise<void> {
    await this.#alone(async () => {
      if (!(await this.#isOurs())) return
      const files = new Set([...kept].map((name) => basename(this.#onTmpfs(name))))
      for (const file of await namesIn(this.#directory)) {
        if (!files.has(file)) await rm(join(this.#directory, file), { recursive: true, force: true })
      }
      await rmdir(this.#directory).catch(() => undefined)
    })
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return await mine
  }

  /** What all RAM that is there may still grow to counts as taken. A directory that cannot be had is no tmpfs. */
  async #hasRoom(bytes: number): Promise<boolean> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      if (!(await this.#isOurs())) return false
      const { type, freeBytes } = await filesystemOf(this.#directory)
      if (type !== 'tmpfs') return false
      return freeBytes - (await this.#growth()) - reserveBytes >= bytes
    } catch {
      return false
    }
  }

  /** Of the RAM of all data directories that have theirs beside ours, as far as we may look: a tmpfs that is full ends somebody's VM, whoever filled it. */
  async #growth(): Promise<number> {
    const beside = dirname(this.#directory)
    const family = basename(this.#directory).replace(/[^-]*$/, '')
    const names = (await namesIn(beside)).filter((name) => name.startsWith(family))
    const each = await Promise.all(names.map((name) => growthIn(join(beside, name))))
    return each.reduce((sum, growth) => sum + growth, 0)
  }

  /** Whoever made it before us could look into it. */
  async #isOurs(): Promise<boolean> {
    const found = await lstat(this.#directory).catch(() => undefined)
    return found?.isDirectory() === true && found.uid === process.geteuid?.() && (found.mode & 0o077) === 0
  }

  async #removeFiles(name: string): Promise<void> {
    await rm(this.#onTmpfs(name), { force: true })
    await rm(this.#layout.shed(name).ram, { force: true })
  }

  #onTmpfs(name: string): string {
    return join(this.#directory, `${name}${suffix}`)
  }
}

const suffix = '.ram'

async function growthIn(directory: string): Promise<number> {
  const files = await namesIn(directory).catch(() => [])
  const each = files.filter((file) => file.endsWith(suffix)).map((file) => mayGrowBy(join(directory, file)))
  return (await Promise.all(each)).reduce((sum, growth) => sum + growth, 0)
}

async function mayGrowBy(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined)
  return found === undefined ? 0 : Math.max(0, found.size - found.blocks * 512)
}
