import { closeSync, constants, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { leaveUncompressed } from '../../host/index.ts'

/** Files of nobody, whose blocks others can share. */
export interface Scratch extends Disposable {
  /** A file that is a hole, at least as long: who shares it has a hole too. */
  hole(length: number): number
  /** Copies a part of a file. @returns where the copy is */
  copy(file: number, offset: number, length: number): { readonly from: number; readonly fromOffset: number }
}

const pieceBytes = 2 ** 20

/** @param staging a directory of the caller's own, who removes it */
export function openScratch(staging: string): Scratch {
  const open = new Map<string, number>()
  const fileOf = (name: string) => {
    const known = open.get(name)
    if (known !== undefined) return known
    const path = join(staging, name)
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
    // What nobody has come to share goes when it is closed, or its process is killed.
    rmSync(path)
    open.set(name, fd)
    return fd
  }
  let [holeBytes, copied] = [0, 0]
  return {
    hole(length) {
      const fd = fileOf('hole')
      if (length > holeBytes) ftruncateSync(fd, length)
      holeBytes = Math.max(holeBytes, length)
      return fd
    },
    copy(file, offset, length) {
      const isNew = !open.has('moved')
      const fd = fileOf('moved')
      // It takes as many blocks then as were foretold.
      if (isNew) leaveUncompressed(fd)
      copyBytes({ file, offset, length, to: fd, at: copied })
      copied += length
      return { from: fd, fromOffset: copied - length }
    },
    [Symbol.dispose]() {
      for (const fd of open.values()) closeSync(fd)
    },
  }
}

interface CopyBytes {
  readonly file: number
  readonly offset: number
  readonly length: number
  readonly to: number
  readonly at: number
}

function copyBytes({ file, offset, length, to, at }: CopyBytes): void {
  for (let done = 0; done < length; done += pieceBytes) {
    const bytes = Buffer.alloc(Math.min(pieceBytes, length - done))
    readSync(file, bytes, 0, bytes.length, offset + done)
    writeSync(to, bytes, 0, bytes.length, at + done)
  }
}
