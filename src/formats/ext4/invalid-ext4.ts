import { Problem, printableBytes } from '../../base/index.ts'
import type { ByteName } from '../erofs/tree.ts'

/** A tree that ext4 cannot hold; `path` is the inode's first name, without a leading slash. */
export function unstorable(path: ByteName, why: string): Problem {
  return new Problem(
    'EXT4_INVALID',
    `cannot store /${printableBytes(Buffer.from(path, 'latin1'))} in an ext4 filesystem: ${why}`,
    { hint: 'an image like this can be had as a lower: create --rootfs erofs' },
  )
}

/** A file that is not a filesystem of ours, or is damaged. */
export function invalidExt4(why: string): Problem {
  return new Problem('EXT4_INVALID', `not a usable ext4 image: ${why}`)
}

export function tooLarge(): Problem {
  return new Problem('EXT4_INVALID', 'the content of the image is more than an ext4 of 16 TiB holds')
}
