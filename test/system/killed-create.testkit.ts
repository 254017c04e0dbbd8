/**
 * A program that makes the shed `copy` from the snapshot `both`, and is killed (SIGKILL) just before its nth step: `killed-create.testkit.ts <n> <directory>`. A
 * step is a sync or a removal below the data directory: between the syncs of what is in staging and that of where it goes is the rename. It prints each step that it
 * takes.
 */
import fs, { writeSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const [limit = '', directory = ''] = process.argv.slice(2)
const { openRoomsOn } = await import('../support/open-rooms.ts')
const rooms = await openRoomsOn(directory)

let steps = 0
function step(name: string): void {
  if (steps++ === Number(limit)) process.kill(process.pid, 'SIGKILL')
  writeSync(1, `${name.replace(rooms.layout.root, '')}\n`)
}

const { rm } = promises
promises.rm = (path, options) => {
  step(`rm ${String(path)}`)
  return rm(path, options)
}
const { openSync } = fs
fs.openSync = (path, ...rest) => {
  step(`sync ${String(path)}`)
  return openSync(path, ...rest)
}
syncBuiltinESMExports()

await rooms.create('copy', { image: undefined, from_snapshot: 'both' })
await rooms[Symbol.asyncDispose]()
