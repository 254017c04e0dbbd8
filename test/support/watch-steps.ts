import fs from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { Socket } from 'node:net'

/**
 * Tells of each step that this process takes, just before it does: a sync (`sync PATH`), a rename (`rename FROM to TO`) or a removal (`rm PATH`), and a command to the
 * monitor of a VMM (`qmp NAME`). Between two of them, who is killed leaves what it leaves right after the one or right before the other. Call it before anything is
 * imported that takes them.
 */
export function watchSteps(step: (name: string) => void): void {
  watchSyncs(step)
  const { rm, rename } = promises
  promises.rm = (path, options) => {
    step(`rm ${String(path)}`)
    return rm(path, options)
  }
  promises.rename = (from, to) => {
    step(`rename ${String(from)} to ${String(to)}`)
    return rename(from, to)
  }
  syncBuiltinESMExports()
  const { write } = Socket.prototype
  Socket.prototype.write = function (this: Socket, ...given: Parameters<typeof write>) {
    const [, command] = /^\{"execute":"([a-z-]+)"/.exec(String(given[0])) ?? []
    if (command !== undefined) step(`qmp ${command}`)
    return write.apply(this, given)
  } as typeof write
}

function watchSyncs(step: (name: string) => void): void {
  const opened = new Map<number, string>()
  const { openSync, fsync } = fs
  fs.openSync = (path, ...rest) => {
    const fd = openSync(path, ...rest)
    opened.set(fd, String(path))
    return fd
  }
  fs.fsync = Object.assign((fd: number, done: fs.NoParamCallback) => {
    step(`sync ${opened.get(fd)}`)
    fsync(fd, done)
  }, fsync)
}
