/** A program that cuts a log and is killed (SIGKILL) just before its nth write or truncation: `killed-truncate.testkit.ts <n> <path> <bytes to keep>`. */
import fs from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const [limit = '', path = '', keep = ''] = process.argv.slice(2)
let steps = 0

const { writeSync, ftruncateSync } = fs
function step(name: string): void {
  if (steps++ === Number(limit)) process.kill(process.pid, 'SIGKILL')
  writeSync(1, `${name}\n`)
}

fs.ftruncateSync = (...args) => {
  step('ftruncate')
  ftruncateSync(...args)
}
fs.writeSync = ((...args: Parameters<typeof writeSync>) => {
  step('write')
  return writeSync(...args)
}) as typeof writeSync
const { open } = promises
promises.open = async (...args) => {
  const file = await open(...args)
  const write = file.write.bind(file) as (...given: unknown[]) => Promise<unknown>
  return Object.assign(file, {
    write: (...given: unknown[]) => {
      step('write')
      return write(...given)
    },
  })
}
syncBuiltinESMExports()

const { truncateLog } = await import('./truncate-log.ts')
await truncateLog(path, { keepBytes: Number(keep), whileAtRest: async (work) => work() })
