/**
 * A program that prunes all that may go from a data directory, and is killed (SIGKILL) just before its nth step: `killed-prune.testkit.ts <n> <directory>`. A step
 * is a removal or a rename below the data directory. It prints each step that it takes.
 */
import { writeSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const [limit = '', directory = ''] = process.argv.slice(2)
const { openRoomsOn } = await import('../support/open-rooms.ts')
const { PruneQuery } = await import('../../src/contract/index.ts')
const rooms = await openRoomsOn(directory)

let steps = 0
function step(name: string): void {
  if (steps++ === Number(limit)) process.kill(process.pid, 'SIGKILL')
  writeSync(1, `${name.replace(directory, '')}\n`)
}

const { rename, rm } = promises
promises.rename = (from, to) => {
  step(`rename ${String(from)}`)
  return rename(from, to)
}
promises.rm = (path, options) => {
  step(`rm ${String(path)}`)
  return rm(path, options)
}
syncBuiltinESMExports()

const scope = ['instances', 'images', 'layers', 'cache', 'orphans', 'logs']
await rooms.usage.prune(PruneQuery.parse({ scope, until_ms: 0, dry_run: false }))
await rooms[Symbol.asyncDispose]()
