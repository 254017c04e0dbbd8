import { open } from 'node:fs/promises'
import { Problem } from '../base/index.ts'

/** A file that is still being written: what a reader on any thread needs to follow it. Can be sent to a worker. */
export interface GrowingFile {
  readonly path: string
  /** Bytes that it will have in the end. */
  readonly size: number
  readonly growth: SharedArrayBuffer
}

const givenUp = -1n

/** How far a file has come that is only ever appended to: told by the thread that writes it, heard by those that read it. */
export class FileGrowth {
  /** What the threads share: how many bytes are there, or `givenUp`. */
  readonly shared: SharedArrayBuffer
  readonly #bytes: BigInt64Array

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.shared = shared
    this.#bytes = new BigInt64Array(shared)
  }

  /** So many bytes can be read. Never fewer than before. */
  reach(bytes: number): void {
    this.#tell(BigInt(bytes))
  }

  /** There will not be more: who waits for more fails. */
  giveUp(): void {
    this.#tell(givenUp)
  }

  /** Resolves when there are more bytes than these. @returns how many @throws Problem FILE_NOT_FOUND when the file was given up */
  async beyond(bytes: number): Promise<number> {
    // A wait by itself does not keep a thread alive.
    const alive = setInterval(() => {}, 2 ** 30)
    try {
      for (;;) {
        const known = Atomics.load(this.#bytes, 0)
        if (known === givenUp) throw new Problem('FILE_NOT_FOUND', 'the file was given up before it was whole')
        if (known > BigInt(bytes)) return Number(known)
        await Atomics.waitAsync(this.#bytes, 0, known).value
      }
    } finally {
      clearInterval(alive)
    }
  }

  #tell(state: bigint): void {
    Atomics.store(this.#bytes, 0, state)
    Atomics.notify(this.#bytes, 0)
  }
}

/**
 * Reads a file while it is being written, to the size that it will have. Each piece is the reader's to keep.
 *
 * @throws Problem FILE_NOT_FOUND when it was given up; a system error
 */
export async function* readGrowingFile(
  { path, size, growth }: GrowingFile,
  pieceBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  const progress = new FileGrowth(growth)
  await using file = await open(path, 'r')
  for (let at = 0; at < size; ) {
    const there = await progress.beyond(at)
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, there - at))
    const { bytesRead } = await file.read(piece, 0, piece.length, at)
    if (bytesRead === 0) throw new Problem('FILE_NOT_FOUND', `${path} has lost what was in it`)
    at += bytesRead
    yield piece.subarray(0, bytesRead)
  }
}
