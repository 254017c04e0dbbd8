import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { errnoCode, problemFromSystem } from '../base/index.ts'

export interface FileHead {
  /** Zeros behind the end of a file that is shorter. */
  readonly head: Buffer
  /** Of the whole file. */
  readonly size: number
}

/**
 * The first bytes of a file, or undefined when it is not there. In the open: they are few, looked at often, and so in the page cache.
 *
 * @throws Problem PERMISSION_DENIED, IO_FAILED
 */
export function readFileHead(path: string, bytes: number): FileHead | undefined {
  try {
    const fd = openSync(path, 'r')
    try {
      const head = Buffer.alloc(bytes)
      readSync(fd, head, 0, bytes, 0)
      return { head, size: fstatSync(fd).size }
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `look at ${path}`)
  }
}
