import { Problem, printableBytes } from '../../base/index.ts'
import type { ByteName } from './tree.ts'

/** A tree that erofs cannot hold; `path` is the inode's first name, without a leading slash. */
export function invalidTree(path: ByteName, why: string): Problem {
  return new Problem(
    'EROFS_INVALID',
    `cannot store /${printableBytes(Buffer.from(path, 'latin1'))} in an erofs image: ${why}`,
  )
}

/** An image that is damaged, hostile, or of a kind that the reader does not know. */
export function invalidImage(why: string): Problem {
  return new Problem('EROFS_INVALID', `not a usable erofs image: ${why}`)
}
