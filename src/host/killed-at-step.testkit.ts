/**
 * A program that does one thing from this room and is killed (SIGKILL) just before its nth step on the disk:
 * `killed-at-step.testkit.ts <n> <operation> <path>…`. It prints each step that it takes.
 */
import fs, { writeSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const [limit = '', operation = '', ...paths] = process.argv.slice(2)
let steps = 0

function step(name: string): void {
  if (steps++ === Number(limit)) process.kill(process.pid, 'SIGKILL')
  writeSync(1, `${name}\n`)
}

const { open, rename } = promises
promises.open = async (path, ...rest) => {
  step(`open ${String(path)}`)
  const file = await open(path, ...rest)
  for (const name of ['chmod', 'writeFile', 'sync'] as const) {
    const real = file[name].bind(file) as (...args: unknown[]) => Promise<void>
    Object.assign(file, {
      [name]: (...args: unknown[]) => {
        step(`${name} ${String(path)}`)
        return real(...args)
      },
    })
  }
  return file
}
const { openSync, fchmodSync, fsync } = fs
const opened = new Map<number, string>()
fs.openSync = (path, ...rest) => {
  step(`open ${String(path)}`)
  const fd = openSync(path, ...rest)
  opened.set(fd, String(path))
  return fd
}
fs.fchmodSync = (fd, mode) => {
  step(`chmod ${opened.get(fd)}`)
  fchmodSync(fd, mode)
}
fs.fsync = Object.assign((fd: number, done: fs.NoParamCallback) => {
  step(`sync ${opened.get(fd)}`)
  fsync(fd, done)
}, fsync)
promises.rename = (from, to) => {
  step(`rename ${String(to)}`)
  return rename(from, to)
}
syncBuiltinESMExports()

const host = await import('./index.ts')
const [first = '', second = ''] = paths
if (operation === 'installFile') await host.installFile({ from: first, to: second, mode: 0o640 })
if (operation === 'installDirectory') await host.installDirectory({ from: first, to: second })
if (operation === 'writeFileAtomically') await host.writeFileAtomically(first, 'new')
