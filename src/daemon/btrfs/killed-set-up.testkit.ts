/**
 * A program that sets up a btrfs and is killed (SIGKILL) just before its nth step: `killed-set-up.testkit.ts <n> <data directory> <bytes>`. A step is a
 * program that it runs, or a rename. It prints each step that it takes, and what goes wrong. With a user id behind it is that user who tries.
 */
import child from 'node:child_process'
import { writeSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import type { Problem } from '../../base/index.ts'

const [limit = '', dataDirectory = '', bytes = '', uid] = process.argv.slice(2)
let steps = 0

function step(name: string): void {
  if (steps++ === Number(limit)) process.kill(process.pid, 'SIGKILL')
  writeSync(1, `${name}\n`)
}

const { rename, open } = promises
promises.rename = (from, to) => {
  step('rename')
  return rename(from, to)
}
promises.open = async (path, ...rest) => {
  const file = await open(path, ...rest)
  const real = file.truncate.bind(file)
  file.truncate = (size) => {
    step('truncate')
    return real(size)
  }
  return file
}
const { spawn } = child
Object.assign(child, {
  spawn(command: string, args: readonly string[], options: object) {
    if (!args.includes('--version')) step(command)
    return spawn(command, args, options)
  },
})
syncBuiltinESMExports()

const { setUpBtrfs } = await import('./set-up-btrfs.ts')
if (uid !== undefined) process.setuid?.(Number(uid))
await setUpBtrfs({ dataDirectory, bytes: Number(bytes) }).catch((error: Problem) => {
  writeSync(1, `${error.code}: ${error.hint}\n`)
})
