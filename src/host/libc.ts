import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'
import type Koffi from 'koffi'
import { Problem } from '../base/index.ts'

/**
 * The few C library calls that Node does not offer. Each returns what the call returns; -1 means that `lastError` says why.
 * Offsets and lengths are bytes.
 */
export interface LibC {
  flock(fd: number, operation: number): number
  lseek(fd: number, offset: number, whence: number): number
  /** @param lock struct flock, which the call may change */
  fcntl(fd: number, command: number, lock: Uint8Array): number
  /** FICLONERANGE: `to` shares the extents of a range of `from`. */
  cloneRange(range: FileRange): number
  copyFileRange(range: FileRange): number
  /**
   * The same two on a thread of libuv's pool, for what may take long. errno is lost on the way back: repeat a failed call in the open
   * to learn it.
   */
  cloneRangeAsync(range: FileRange): Promise<number>
  copyFileRangeAsync(range: FileRange): Promise<number>
  /** fallocate(2) on a thread of the pool; errno is lost in the same way. */
  fallocateAsync(range: AllocateRange): Promise<number>
  fallocate(range: AllocateRange): number
  /** rename(2) that fails with EEXIST when `to` is there, even as an empty directory. */
  renameNoReplace(from: string, to: string): number
  /** @param argument what the request reads, and where it writes what it found */
  ioctl(fd: number, request: number, argument: Uint8Array): number
  /** @param found struct statx */
  statx(directory: number, path: string, flags: number, mask: number, found: Uint8Array): number
  /** Takes the first `length` bytes out of a file, and moves the rest down. */
  collapseHead(fd: number, length: number): number
  /** Everything that has been written to the filesystem of an open file is on its disk. */
  syncfs(fd: number): number
  /** Of the calling thread. */
  ioprioSet(priority: number): number
  /** A stream socket of the unix domain, closed when this process executes another. */
  unixSocket(): number
  /** @param address struct sockaddr_un */
  bind(fd: number, address: Uint8Array): number
  listen(fd: number, backlog: number): number
  /** mount(2) */
  mount(mount: MountCall): number
  /** On a thread of libuv's pool: the filesystem may be served by this process. errno is lost. */
  unmountAsync(path: string, flags: number): Promise<number>
  /** @param polled struct pollfd of one descriptor; @returns at once: 1 when it is ready */
  poll(polled: Uint8Array): number
  /** The same on a thread of the pool, for so many milliseconds at most. */
  pollAsync(polled: Uint8Array, milliseconds: number): Promise<number>
  pidfdOpen(pid: number): number
  pidfdSendSignal(pidfd: number, signal: number): number
  /** For descriptors that a call above has opened: Node counts its own and warns of others. */
  close(fd: number): number
}

/** Bytes of one open file that are to go to another. */
export interface FileRange {
  readonly from: number
  readonly fromOffset: number
  readonly to: number
  readonly toOffset: number
  readonly length: number
}

export interface MountCall {
  readonly source: string
  readonly path: string
  readonly type: string
  readonly flags: number
  readonly options: string
}

export interface AllocateRange {
  readonly fd: number
  readonly mode: number
  readonly offset: number
  readonly length: number
}

let loaded: { koffi: typeof Koffi; libc: LibC } | undefined

/**
 * The C library of this process, bound at the first call, so that importing this room costs nothing.
 *
 * @throws Problem HOST_UNSUPPORTED on anything but Linux
 */
export function libc(): LibC {
  loaded ??= load()
  return loaded.libc
}

/** errno of the last call that went wrong, as the Error that node:fs would have thrown. */
export function lastError(syscall: string): NodeJS.ErrnoException {
  const errno = loaded?.koffi.errno() ?? 0
  const code = errno === 0 ? 'UNKNOWN' : getSystemErrorName(-errno)
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall })
}

/** @throws Problem HOST_UNSUPPORTED when this is not Linux; `what` is what was wanted, as a noun */
export function linuxOnly(what: string): void {
  if (process.platform === 'linux') return
  throw new Problem('HOST_UNSUPPORTED', `${what} is not available on ${process.platform} yet`, {
    hint: 'run the cowshed daemon on Linux',
  })
}

function load(): { koffi: typeof Koffi; libc: LibC } {
  linuxOnly('the Linux kernel interface')
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi
  return { koffi, libc: bind(koffi) }
}

function bind(koffi: typeof Koffi): LibC {
  // null is this process itself: glibc and musl alike.
  const library = koffi.load(null)
  const flock = library.func('flock', 'int', ['int', 'int'])
  const lseek = library.func('lseek', 'int64_t', ['int', 'int64_t', 'int'])
  // Not declared variadic, because koffi cannot call that on another thread; on Linux both pass integers and pointers in the same way.
  const ioctl = library.func('ioctl', 'int', ['int', 'ulong', 'void *'])
  // The same of this one.
  const fcntl = library.func('fcntl', 'int', ['int', 'int', 'void *'])
  const copyFileRange = library.func('copy_file_range', 'int64_t', ['int', 'void *', 'int', 'void *', 'size_t', 'uint'])
  const fallocate = library.func('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t'])
  const statx = library.func('statx', 'int', ['int', 'str', 'int', 'uint', 'void *'])
  const syncfs = library.func('syncfs', 'int', ['int'])
  const renameat2 = library.func('renameat2', 'int', ['int', 'str', 'int', 'str', 'uint'])
  const close = library.func('close', 'int', ['int'])
  const socket = library.func('socket', 'int', ['int', 'int', 'int'])
  const bindSocket = library.func('bind', 'int', ['int', 'void *', 'uint'])
  const listen = library.func('listen', 'int', ['int', 'int'])
  const mount = library.func('mount', 'int', ['str', 'str', 'str', 'ulong', 'str'])
  const unmount = library.func('umount2', 'int', ['str', 'int'])
  const poll = library.func('poll', 'int', ['void *', 'ulong', 'int'])
  const syscall = library.func('long syscall(long number, ...)')
  return {
    flock: (fd, operation) => flock(fd, operation),
    lseek: (fd, offset, whence) => lseek(fd, offset, whence),
    fcntl: (fd, command, lock) => fcntl(fd, command, lock),
    cloneRange: (range) => ioctl(...cloneArguments(range)),
    copyFileRange: (range) => copyFileRange(...copyArguments(range)),
    cloneRangeAsync: (range) => onPool(ioctl, cloneArguments(range)),
    copyFileRangeAsync: (range) => onPool(copyFileRange, copyArguments(range)),
    fallocate: ({ fd, mode, offset, length }) => fallocate(fd, mode, offset, length),
    fallocateAsync: ({ fd, mode, offset, length }) => onPool(fallocate, [fd, mode, offset, length]),
    renameNoReplace: (from, to) => renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE),
    ioctl: (fd, request, argument) => ioctl(fd, request, argument),
    statx,
    collapseHead: (fd, length) => fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, length),
    syncfs: (fd) => syncfs(fd),
    ioprioSet: (priority) => {
      const number = SYS_ioprio_set[process.arch]
      return number === undefined ? -1 : syscall(number, 'int', IOPRIO_WHO_PROCESS, 'int', 0, 'int', priority)
    },
    unixSocket: () => socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
    bind: (fd, address) => bindSocket(fd, address, address.length),
    listen: (fd, backlog) => listen(fd, backlog),
    mount: ({ source, path, type, flags, options }) => mount(source, path, type, flags, options),
    unmountAsync: (path, flags) => onPool(unmount, [path, flags]),
    poll: (polled) => poll(polled, 1, 0),
    pollAsync: (polled, milliseconds) => onPool(poll, [polled, 1, milliseconds]),
    pidfdOpen: (pid) => syscall(SYS_pidfd_open, 'int', pid, 'uint', 0),
    pidfdSendSignal: (pidfd, signal) =>
      syscall(SYS_pidfd_send_signal, 'int', pidfd, 'int', signal, 'void *', null, 'uint', 0),
    close: (fd) => close(fd),
  }
}

function onPool(call: ReturnType<ReturnType<typeof Koffi.load>['func']>, args: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: unknown, result: number) => (error ? reject(error as Error) : resolve(result)))
  })
}

function copyArguments({ from, fromOffset, to, toOffset, length }: FileRange): unknown[] {
  // off_t *: the call moves these on instead of the positions of the files.
  return [from, new BigInt64Array([BigInt(fromOffset)]), to, new BigInt64Array([BigInt(toOffset)]), length, 0]
}

/** struct file_clone_range of linux/fs.h: s64 src_fd; u64 src_offset, src_length, dest_offset. */
function cloneArguments({ from, fromOffset, to, toOffset, length }: FileRange): unknown[] {
  const argument = new BigInt64Array([BigInt(from), BigInt(fromOffset), BigInt(length), BigInt(toOffset)])
  return [to, FICLONERANGE, argument]
}

/** linux/fs.h */
const FICLONERANGE = 0x4020940d
/** linux/falloc.h */
const FALLOC_FL_COLLAPSE_RANGE = 0x08
/** sys/socket.h */
const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
/** fcntl.h */
const AT_FDCWD = -100
/** linux/fs.h */
const RENAME_NOREPLACE = 1
/** linux/ioprio.h */
const IOPRIO_WHO_PROCESS = 1
const SYS_ioprio_set: Readonly<Record<string, number>> = { x64: 251, arm64: 30 }
/** asm-generic/unistd.h; the same number on every architecture. */
const SYS_pidfd_open = 434
const SYS_pidfd_send_signal = 424
