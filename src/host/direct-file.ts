import { closeSync, constants, fsyncSync, ftruncateSync, openSync, write, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { errnoCode } from '../base/index.ts'
import { openDirectSync } from './direct-io.ts'

const writeOnPool = promisify(write)

/**
 * A new file that is written around the page cache where the filesystem has such a thing: whole blocks, from an alignedBuffer. Then btrfs makes no
 * extent larger than one write. For a thread that may block: all of it is synchronous, but `writeBehind`. One owner; `close` in a finally.
 *
 * @throws (every method) a system error, ENOSPC for one
 */
export class DirectFile {
  readonly #path: string
  #fd: number
  #open = true

  /** @param path must not exist */
  constructor(path: string) {
    this.#path = path
    this.#fd = createForDirectWrites(path)
  }

  write(bytes: Buffer, position: number): void {
    for (let written = 0; written < bytes.length; ) {
      written += this.#writeAt(bytes.subarray(written), position + written)
    }
  }

  /** As `write`, while this thread goes on: `bytes` must stay as they are, and nothing else be asked of the file, until it resolves. */
  async writeBehind(bytes: Buffer, position: number): Promise<void> {
    let written = 0
    try {
      written = (await writeOnPool(this.#fd, bytes, 0, bytes.length, position)).bytesWritten
    } catch (error) {
      if (errnoCode(error) !== 'EINVAL') throw error
    }
    // Nothing, but for what was refused or cut short.
    this.write(bytes.subarray(written), position + written)
  }

  truncate(bytes: number): void {
    ftruncateSync(this.#fd, bytes)
  }

  sync(): void {
    fsyncSync(this.#fd)
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    closeSync(this.#fd)
  }

  #writeAt(piece: Buffer, position: number): number {
    try {
      return writeSync(this.#fd, piece, 0, piece.length, position)
    } catch (error) {
      // The filesystem wants larger blocks than ours, or took the flag without meaning it.
      if (errnoCode(error) !== 'EINVAL') throw error
      closeSync(this.#fd)
      this.#fd = openSync(this.#path, 'r+')
      return writeSync(this.#fd, piece, 0, piece.length, position)
    }
  }
}

/** A file created with O_DIRECT is there even when the open fails for it, so it is created before. */
function createForDirectWrites(path: string): number {
  const fd = openSync(path, 'wx', 0o600)
  const direct = openDirectSync(path, constants.O_WRONLY)
  if (direct === undefined) return fd
  closeSync(fd)
  return direct
}
