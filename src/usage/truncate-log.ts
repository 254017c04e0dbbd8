import { open } from 'node:fs/promises'
import { problemFromSystem } from '../base/index.ts'

const pieceBytes = 1 << 20

/**
 * Keeps the last bytes of a log in place, so that a writer with O_APPEND goes on behind them. What is appended while the tail is moved is
 * moved too; only what arrives between the last look and the cut is lost.
 *
 * @throws Problem IO_FAILED, NO_SPACE
 */
export async function truncateLog(path: string, keepBytes: number): Promise<void> {
  try {
    await using file = await open(path, 'r+')
    let { size } = await file.stat()
    if (size <= keepBytes) return
    let from = size - keepBytes
    let to = 0
    const piece = Buffer.alloc(Math.min(pieceBytes, size))
    while (from < size) {
      const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, size - from), from)
      if (bytesRead === 0) break
      await file.write(piece, 0, bytesRead, to)
      from += bytesRead
      to += bytesRead
      size = (await file.stat()).size
    }
    await file.truncate(to)
  } catch (error) {
    throw problemFromSystem(error, `truncate ${path}`)
  }
}
