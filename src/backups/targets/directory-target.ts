import { link, lstat, mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoCode, newId, Problem, problemFromSystem } from '../../base/index.ts'
import { installFile, namesIn, syncDirectory } from '../../host/index.ts'
import type { BackupTarget, ByteRange, TargetObject, TargetOptions } from './target.ts'

/** What is half written lies here, on the filesystem of the rest. */
const staging = '.staging'
/** Nobody writes one object for so long. */
const staleMs = 24 * 3600_000

/** A directory of this host, or one that is mounted here. */
export class DirectoryTarget implements BackupTarget {
  readonly url: string
  readonly #root: string
  /** Directories that are known to be there, and durable. */
  readonly #made = new Set<string>()

  /** @param root absolute; it is made with the first write */
  constructor(root: string) {
    this.#root = root
    this.url = root
  }

  async get(name: string, { signal, range }: TargetOptions & { range?: ByteRange } = {}): Promise<Buffer | undefined> {
    throwIfStopped(signal)
    try {
      await using file = await open(this.#path(name), 'r')
      if (range === undefined) return await file.readFile()
      const bytes = Buffer.allocUnsafeSlow(range.length)
      let done = 0
      while (done < range.length) {
        const { bytesRead } = await file.read(bytes, done, range.length - done, range.offset + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return bytes.subarray(0, done)
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw problemFromSystem(error, `read ${this.#path(name)}`)
    }
  }

  async put(name: string, bytes: Buffer, { signal }: TargetOptions = {}): Promise<void> {
    await this.#write(name, bytes, { signal, install: (from, to) => installFile({ from, to }) })
  }

  async putNew(name: string, bytes: Buffer, { signal }: TargetOptions = {}): Promise<boolean> {
    try {
      await this.#write(name, bytes, { signal, install: linkNew })
      return true
    } catch (error) {
      if (error instanceof Problem && error.code === 'FILE_EXISTS') return false
      throw error
    }
  }

  async *list(prefix: string, { signal }: TargetOptions = {}): AsyncGenerator<TargetObject> {
    throwIfStopped(signal)
    yield* this.#listBelow(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix)
  }

  async remove(name: string, { signal }: TargetOptions = {}): Promise<void> {
    throwIfStopped(signal)
    try {
      await rm(this.#path(name), { force: true })
    } catch (error) {
      throw problemFromSystem(error, `remove ${this.#path(name)}`)
    }
  }

  async tidy(): Promise<void> {
    const directory = join(this.#root, staging)
    for (const name of await namesIn(directory)) {
      const path = join(directory, name)
      const stat = await lstat(path).catch(() => undefined)
      if (stat !== undefined && Date.now() - stat.mtimeMs > staleMs) await rm(path, { force: true })
    }
  }

  async close(): Promise<void> {}

  async *#listBelow(folder: string, prefix: string): AsyncGenerator<TargetObject> {
    for (const entry of await namesIn(join(this.#root, folder))) {
      const name = `${folder}${entry}`
      if (entry === staging || !(name.startsWith(prefix) || prefix.startsWith(`${name}/`))) continue
      const stat = await lstat(this.#path(name)).catch((error: unknown) => {
        if (isAbsent(error)) return undefined
        throw problemFromSystem(error, `look at ${this.#path(name)}`)
      })
      if (stat?.isDirectory()) yield* this.#listBelow(`${name}/`, prefix)
      else if (stat?.isFile() && name.startsWith(prefix)) yield { name, bytes: stat.size, changedMs: stat.mtimeMs }
    }
  }

  async #write(
    name: string,
    bytes: Buffer,
    { signal, install }: TargetOptions & { install: (from: string, to: string) => Promise<void> },
  ): Promise<void> {
    throwIfStopped(signal)
    const [from, to] = [join(this.#root, staging, newId()), this.#path(name)]
    try {
      await this.#makeDirectory(dirname(from))
      await this.#makeDirectory(dirname(to))
      await using file = await open(from, 'wx', 0o600)
      await file.writeFile(bytes)
      await install(from, to)
    } catch (error) {
      throw problemFromSystem(error, `write ${to}`)
    } finally {
      await rm(from, { force: true }).catch(() => {})
    }
  }

  /** With those above it, each of them durable. */
  async #makeDirectory(path: string): Promise<void> {
    if (this.#made.has(path)) return
    const first = await mkdir(path, { recursive: true, mode: 0o700 })
    for (let at = path; first !== undefined && at.length >= first.length; at = dirname(at)) {
      await syncDirectory(dirname(at))
    }
    this.#made.add(path)
  }

  #path(name: string): string {
    return join(this.#root, name)
  }
}

/** A link, unlike a rename, does not take the place of what is there. */
async function linkNew(from: string, to: string): Promise<void> {
  await using file = await open(from, 'r')
  await file.sync()
  await link(from, to)
  await syncDirectory(dirname(to))
}

function isAbsent(error: unknown): boolean {
  return errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR'
}

function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request', { cause: signal.reason })
}
