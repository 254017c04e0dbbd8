import { fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs'
import { type FileHandle, open, statfs } from 'node:fs/promises'
import { problemFromSystem } from '../base/index.ts'
import { collapseHead, writeWhole } from '../host/index.ts'

export interface TruncateLog {
  readonly keepBytes: number
  /** Does something short while nobody writes to the log. @throws Problem when that cannot be */
  readonly whileAtRest: (work: () => void) => Promise<void>
}

const pieceBytes = 1 << 20

/**
 * Keeps the last bytes of a log in place, so that a writer with O_APPEND goes on behind them, and nothing that it writes meanwhile is lost.
 *
 * Up to one block more than asked for may stay. On ext4 and xfs the first blocks are taken out in one step. Elsewhere the tail is moved to the front, what is appended meanwhile
 * too, and for the last look and the cut, which are two steps, the writer has to rest. A crash on the way leaves some of the tail twice, and none of it out.
 *
 * @throws Problem FILE_NOT_FOUND, IO_FAILED, NO_SPACE, and what `whileAtRest` throws
 */
export async function truncateLog(path: string, { keepBytes, whileAtRest }: TruncateLog): Promise<void> {
  try {
    await using file = await open(path, 'r+')
    const { size } = await file.stat()
    if (size <= keepBytes) return
    const block = (await statfs(path)).bsize
    const excess = Math.floor((size - keepBytes) / block) * block
    // Less than a block: nothing would be freed.
    if (excess === 0 && keepBytes > 0) return
    if (excess > 0 && excess < size && collapseHead(file.fd, excess)) return
    const moved = await moveTail(file, size - keepBytes)
    await whileAtRest(() => cutAfterLastLook(file.fd, moved))
  } catch (error) {
    throw problemFromSystem(error, `truncate ${path}`)
  }
}

interface Moved {
  /** What is before this has been copied, to before that. */
  readonly from: number
  readonly to: number
}

/** Copies all there is from somewhere on to the front. */
async function moveTail(file: FileHandle, first: number): Promise<Moved> {
  const piece = Buffer.alloc(pieceBytes)
  for (let [from, to] = [first, 0]; ; ) {
    const { bytesRead } = await file.read(piece, 0, piece.length, from)
    if (bytesRead === 0) return { from, to }
    await writeWhole(file, piece.subarray(0, bytesRead), to)
    from += bytesRead
    to += bytesRead
  }
}

/** The same with what has come since, which is little, and the cut. It does not wait for anything else: nobody writes meanwhile, nor for longer than it must. */
function cutAfterLastLook(fd: number, { from, to }: Moved): void {
  const rest = Buffer.alloc(Math.max(0, fstatSync(fd).size - from))
  const bytes = readSync(fd, rest, 0, rest.length, from)
  for (let done = 0; done < bytes; ) done += writeSync(fd, rest, done, bytes - done, to + done)
  ftruncateSync(fd, to + bytes)
}
