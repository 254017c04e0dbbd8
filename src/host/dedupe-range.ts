import { constants } from 'node:os'
import { type FileRange, lastError, libc } from './libc.ts'

/** struct file_dedupe_range of linux/fs.h with one file_dedupe_range_info: 24 and 32 bytes. */
const FIDEDUPERANGE = 0xc0189436
const argumentBytes = 56
const differs = 1

/** More at once is cut short by btrfs, and holds both files for long. */
const atMost = 16 * 2 ** 20
/** What differs is not looked at more closely than this. A multiple of any filesystem's block. */
const smallestPiece = 64 * 2 ** 10

/**
 * `shared`: the range of `to` has now the blocks of the range of `from`. `differs`: they have not the same bytes, and everything is as it was.
 * `refused`: the filesystem does not do it for this range.
 */
export type DedupeOutcome = 'shared' | 'differs' | 'refused'

/**
 * Lets a range of one file have the blocks of a range of another if both have the same bytes, which the kernel compares with both files locked:
 * whoever writes to them meanwhile writes before or after. Times stay as they are. `to` need not be open for writing to whoever owns it.
 *
 * Pieces of a long range are told of one after the other: what is shared stays so.
 *
 * @param range aligned to blocks of the filesystem
 * @returns by bytes, what became of the range
 * @throws a system error, ENOSPC for one
 * @see ioctl_fideduperange(2)
 */
export function dedupeRange(range: FileRange): Record<DedupeOutcome, number> {
  const outcome = { shared: 0, differs: 0, refused: 0 }
  let piece = atMost
  for (let done = 0; done < range.length; ) {
    const length = Math.min(range.length - done, piece)
    const { status, bytes } = dedupeOnce(range, done, length)
    if (status === 'differs' && length > smallestPiece) {
      // One block that was just written to does not keep all others from being shared.
      piece = Math.ceil(length / 2 / smallestPiece) * smallestPiece
      continue
    }
    outcome[status] += bytes
    done += bytes
    piece = Math.min(atMost, 2 * piece)
  }
  return outcome
}

function dedupeOnce(range: FileRange, done: number, length: number): { status: DedupeOutcome; bytes: number } {
  const argument = Buffer.alloc(argumentBytes)
  argument.writeBigUInt64LE(BigInt(range.fromOffset + done), 0)
  argument.writeBigUInt64LE(BigInt(length), 8)
  argument.writeUInt16LE(1, 16)
  argument.writeBigInt64LE(BigInt(range.to), 24)
  argument.writeBigUInt64LE(BigInt(range.toOffset + done), 32)
  if (libc().ioctl(range.from, FIDEDUPERANGE, argument) < 0) throw lastError('FIDEDUPERANGE')
  const status = argument.readInt32LE(48)
  if (-status === constants.errno.ENOSPC) throw Object.assign(new Error('ENOSPC: FIDEDUPERANGE'), { code: 'ENOSPC' })
  if (status === differs) return { status: 'differs', bytes: length }
  const bytes = Number(argument.readBigUInt64LE(40))
  return status === 0 && bytes > 0 ? { status: 'shared', bytes } : { status: 'refused', bytes: length }
}
