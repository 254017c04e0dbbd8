import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoCode, Problem, problemFromSystem } from '../base/index.ts'
import { lastError, libc } from './libc.ts'

export interface FileLock {
  /** The open file description that holds the lock. A child that inherits it holds the lock too, whatever becomes of this process. */
  readonly fd: number
  /** Frees the lock, or leaves it to the children that have it. Calling it again does nothing. */
  release(): void
  [Symbol.dispose](): void
}

export interface LockOptions {
  readonly mode: 'exclusive' | 'shared'
  /** Wait until it is free; else give up at once. */
  readonly wait?: boolean
  /** When it is released, it is free only once every child that inherited it has ended. */
  readonly leftToChildren?: boolean
  /** Ends the wait with CANCELLED. */
  readonly signal?: AbortSignal
}

/**
 * Takes the kernel's lock on a file, which is made (mode 0600, empty) when it is absent and never removed: a lock on a file whose name
 * has gone guards nothing. The kernel frees the lock when the last process that has it open ends, however it ends.
 *
 * @returns undefined when another holds it and `wait` is not set
 * @throws Problem FILE_NOT_FOUND (no such directory), PERMISSION_DENIED, CANCELLED, IO_FAILED
 * @see flock(2)
 */
export async function lockFile(path: string, options: LockOptions & { wait: true }): Promise<FileLock>
export async function lockFile(path: string, options: LockOptions): Promise<FileLock | undefined>
export async function lockFile(path: string, options: LockOptions): Promise<FileLock | undefined> {
  let pause = 2
  for (let attempt = 1; ; attempt++) {
    const fd = tryLock(path, options.mode)
    if (fd !== undefined) return fileLock(fd, options)
    // Someone who only looks (isLocked) holds it for a moment: one more try tells that from a real holder.
    if (options.wait !== true && attempt === 2) return undefined
    await sleepOrCancel(path, pause, options.signal)
    pause = Math.min(pause * 2, 100)
  }
}

/**
 * Whether anybody holds a lock on a file, shared or exclusive. False when the file is absent.
 *
 * @throws Problem PERMISSION_DENIED, IO_FAILED
 */
export async function isLocked(path: string): Promise<boolean> {
  try {
    const fd = openSync(path, constants.O_RDONLY)
    try {
      return !flock(fd, 'exclusive')
    } finally {
      unlock(fd)
    }
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false
    throw problemFromSystem(error, `look at the lock ${path}`)
  }
}

function tryLock(path: string, mode: LockOptions['mode']): number | undefined {
  try {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    let locked = false
    try {
      locked = flock(fd, mode) && isStillAt(path, fd)
    } finally {
      if (!locked) unlock(fd)
    }
    return locked ? fd : undefined
  } catch (error) {
    throw problemFromSystem(error, `lock ${path}`)
  }
}

function flock(fd: number, mode: LockOptions['mode']): boolean {
  if (libc().flock(fd, (mode === 'exclusive' ? LOCK_EX : LOCK_SH) | LOCK_NB) === 0) return true
  const error = lastError('flock')
  if (error.code === 'EAGAIN' || error.code === 'EINTR') return false
  throw error
}

/** A process that any thread of ours is about to start has this file open, too, until it executes its program: to close it is not enough. */
function unlock(fd: number): void {
  libc().flock(fd, LOCK_UN)
  closeSync(fd)
}

/** The directory may have been removed and made again between open and flock; the lock is then on a file that nobody else will open. */
function isStillAt(path: string, fd: number): boolean {
  const [mine, named] = [fstatSync(fd), statSync(path, { throwIfNoEntry: false })]
  return named !== undefined && named.ino === mine.ino && named.dev === mine.dev
}

function fileLock(fd: number, { leftToChildren }: LockOptions): FileLock {
  let held = true
  const release = () => {
    if (held) leftToChildren === true ? closeSync(fd) : unlock(fd)
    held = false
  }
  return { fd, release, [Symbol.dispose]: release }
}

async function sleepOrCancel(path: string, milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    throw new Problem('CANCELLED', `stopped waiting for the lock ${path}`, { cause: error })
  }
}

/** sys/file.h */
const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4
const LOCK_UN = 8
