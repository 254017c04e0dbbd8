import { printableBytes } from '../../base/index.ts'
import { fileTail } from '../file-tail.ts'

/** The last lines that QEMU printed after byte `from` of its log, on one line and safe to show. */
export async function logTail(path: string, from: number): Promise<string> {
  const lines = (await fileTail(path, { from, maxBytes: 2048 })).trim().split('\n')
  return printableBytes(
    Buffer.from(
      lines
        .slice(-4)
        .map((line) => line.trim())
        .join(' | '),
      'latin1',
    ),
  )
}
