import { type FileHandle, open } from 'node:fs/promises'
import { errnoCode, problemFromSystem } from '../../base/index.ts'

const blockBytes = 64 * 1024
const newline = 0x0a

/** Where the last `lines` lines of a file begin, reading it backwards block by block. A last line without a newline counts. 0 when it is absent. */
export async function tailStart(path: string, lines: number): Promise<number> {
  try {
    await using file = await open(path)
    return await findStart(file, (await file.stat()).size, lines)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return 0
    throw problemFromSystem(error, `read ${path}`)
  }
}

async function findStart(file: FileHandle, size: number, lines: number): Promise<number> {
  if (lines === 0) return size
  const block = Buffer.allocUnsafe(blockBytes)
  let found = 0
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - blockBytes)
    const { bytesRead } = await file.read(block, 0, end - start, start)
    for (let at = bytesRead - 1; at >= 0; at--) {
      // The newline that ends the last line begins no other.
      if (block[at] !== newline || start + at === size - 1) continue
      found++
      if (found === lines) return start + at + 1
    }
    end = start
  }
  return 0
}
