import { closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Eight bytes for each block of a file, of its content's sha256. */
export const hashBytes = 8

/** Of a file as it was when it was mapped. */
export interface HashedFile {
  readonly inode: number
  readonly logicalBytes: number
  /** st_ctime, milliseconds. */
  readonly changedAt: number
}

/** What a write can be told by that comes after the hashes. */
export interface HashedAt {
  /** Milliseconds since the epoch, before the file was mapped. */
  readonly time: number
  /** The filesystem's own clock; 0 where it has none. */
  readonly generation: number
}

/**
 * Hashes of the blocks of one file, kept beside others in a directory; where there is none yet, zeros. Written in place: every state that a kill can
 * leave is one in which what is there is true. And a hash that is not costs a comparison, never content: the kernel compares blocks before it shares them.
 */
export interface BlockHashes extends Disposable {
  /** Hashes from before that may be those of parts written up to this generation alone; undefined when all of them are true. */
  readonly trueUpTo: number | undefined
  read(firstBlock: number, into: Buffer): void
  write(firstBlock: number, hashes: Buffer): void
  /** From now on all that is there is true of the file as it was mapped. */
  confirm(): void
}

const magic = 'cowshed block hashes 1\n'
const headBytes = 4096
/** Clocks of files tick coarsely: a write this soon after another may leave the same time. */
const tickMs = 100

/** @throws a system error */
export function openBlockHashes(path: string, block: number, file: HashedFile, now: HashedAt): BlockHashes {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  const head = readHead(fd)
  const isOurs = head?.block === block && head.inode === file.inode
  const isSame = isOurs && head.logicalBytes === file.logicalBytes && head.changedAt === file.changedAt
  if (!isSame && (!isOurs || head.generation === 0 || now.generation === 0)) ftruncateSync(fd, 0)
  const changedAt = file.changedAt < now.time - tickMs ? file.changedAt : 0
  const fresh = { magic, block, ...file, changedAt, generation: now.generation }
  const trueUpTo = isSame || fstatSync(fd).size === 0 ? undefined : (head?.generation ?? 0)
  if (trueUpTo === undefined) writeHead(fd, fresh)
  return {
    trueUpTo,
    read: (firstBlock, into) => readAt(fd, firstBlock, into),
    write(firstBlock, hashes) {
      writeSync(fd, hashes, 0, hashes.length, headBytes + firstBlock * hashBytes)
    },
    confirm: () => writeHead(fd, fresh),
    [Symbol.dispose]: () => closeSync(fd),
  }
}

interface Head extends HashedFile {
  readonly magic: string
  readonly block: number
  readonly generation: number
}

/** undefined when there is none, or it is no such file. */
function readHead(fd: number): Head | undefined {
  const bytes = Buffer.alloc(headBytes)
  readSync(fd, bytes, 0, headBytes, 0)
  try {
    const head = JSON.parse(bytes.toString('latin1').trimEnd()) as Partial<Head>
    return head.magic === magic && typeof head.generation === 'number' ? (head as Head) : undefined
  } catch {
    return undefined
  }
}

function writeHead(fd: number, head: Head): void {
  writeSync(fd, Buffer.from(JSON.stringify(head).padEnd(headBytes), 'latin1'), 0, headBytes, 0)
}

export interface HashReader extends Disposable {
  /** Zeros where there are none. */
  read(path: string, firstBlock: number, into: Buffer): void
}

/** Reads the hashes of one file after the other. */
export function openHashReader(): HashReader {
  let open: { readonly path: string; readonly fd: number } | undefined
  const close = () => {
    if (open !== undefined) closeSync(open.fd)
    open = undefined
  }
  return {
    read(path, firstBlock, into) {
      if (open?.path !== path) {
        close()
        open = { path, fd: openSync(path, constants.O_RDONLY | constants.O_CREAT, 0o600) }
      }
      readAt(open.fd, firstBlock, into)
    },
    [Symbol.dispose]: close,
  }
}

function readAt(fd: number, firstBlock: number, into: Buffer): void {
  const got = readSync(fd, into, 0, into.length, headBytes + firstBlock * hashBytes)
  into.fill(0, got)
}
