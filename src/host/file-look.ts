import { problemFromSystem } from '../base/index.ts'
import { lastError, libc } from './libc.ts'
import type { SeenFile } from './seen-file.ts'

/**
 * Looks at one file after the other, and makes nothing of what it sees unless asked: of thousands of files that are looked at again and again,
 * nearly all are as they were. It tells of the last look alone.
 */
export interface FileLook {
  /** @returns whether there is anything @throws Problem PERMISSION_DENIED, IO_FAILED */
  at(path: string): boolean
  /** Of the file itself: what a link leads to is not looked at. */
  isFile(): boolean
  isDirectory(): boolean
  isAsSeen(then: SeenFile): boolean
  seen(): SeenFile
}

/** struct statx of linux/stat.h: where in it 32-bit words begin. */
const word = {
  mode: 28,
  nlink: 16,
  ino: 32,
  size: 40,
  blocks: 48,
  ctime: 96,
  mtime: 112,
  devMajor: 136,
  devMinor: 140,
} as const
const statxBytes = 256
const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_NO_AUTOMOUNT = 0x800
const STATX_BASIC_STATS = 0x7ff
/** sys/stat.h */
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
const S_IFREG = 0o100000

/** @see statx(2) */
export function fileLook(): FileLook {
  const bytes = Buffer.alloc(statxBytes)
  // In the order of this machine, as the kernel writes it.
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, statxBytes / 4)
  const { statx } = libc()
  const number = (at: number) => words[at / 4] ?? 0
  const long = (at: number) => number(at) + number(at + 4) * 2 ** 32
  // As Node has it: what was seen by one of the two is as the other sees it. Before 1970 the seconds are negative.
  const milliseconds = (at: number) => (number(at) + (number(at + 4) | 0) * 2 ** 32) * 1e3 + number(at + 8) / 1e6
  const device = () => deviceOf(number(word.devMajor), number(word.devMinor))
  const type = () => number(word.mode) & S_IFMT
  return {
    at(path) {
      if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, bytes) >= 0) return true
      const error = lastError('statx')
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
      throw problemFromSystem(error, `look at ${path}`)
    },
    isFile: () => type() === S_IFREG,
    isDirectory: () => type() === S_IFDIR,
    isAsSeen: (then) =>
      long(word.ino) === then.ino &&
      milliseconds(word.ctime) === then.ctimeMs &&
      milliseconds(word.mtime) === then.mtimeMs &&
      long(word.size) === then.size &&
      long(word.blocks) === then.blocks &&
      number(word.nlink) === then.nlink &&
      device() === then.dev,
    seen: () => ({
      dev: device(),
      ino: long(word.ino),
      size: long(word.size),
      blocks: long(word.blocks),
      nlink: number(word.nlink),
      mtimeMs: milliseconds(word.mtime),
      ctimeMs: milliseconds(word.ctime),
    }),
  }
}

/** As stat(2) has it in one number: gnu_dev_makedev of sys/sysmacros.h. */
function deviceOf(major: number, minor: number): number {
  const low = (((major & 0xfff) << 8) | (minor & 0xff)) >>> 0
  return low + (minor >>> 8) * 2 ** 20 + (major >>> 12) * 2 ** 44
}
