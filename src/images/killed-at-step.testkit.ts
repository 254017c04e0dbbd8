/**
 * A program that loads an archive into a data directory, removes the image app:1 from it, or evicts all that is derived, and is killed (SIGKILL)
 * just before its nth step on the disk: `killed-at-step.testkit.ts <n> load|remove|evict <root> <archive>`. It prints each step that it takes.
 */
import { readFileSync, writeSync } from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const [limit = '', operation = '', root = '', archive = ''] = process.argv.slice(2)
let steps = 0

function step(name: string): void {
  if (steps++ === Number(limit)) process.kill(process.pid, 'SIGKILL')
  writeSync(1, `${name.replace(root, '')}\n`)
}

const { open, rename, rm } = promises
promises.open = async (path, flags, ...rest) => {
  if (flags !== undefined && flags !== 'r') step(`open ${String(path)}`)
  return await open(path, flags, ...rest)
}
promises.rename = (from, to) => {
  step(`rename ${String(to)}`)
  return rename(from, to)
}
promises.rm = (path, options) => {
  step(`rm ${String(path)}`)
  return rm(path, options)
}
syncBuiltinESMExports()

const { openImages } = await import('./open-images.ts')
const { openBlobStore } = await import('../blobs/index.ts')
const { dataLayout } = await import('../base/index.ts')
const { streamOf, unpackHere } = await import('./images.testkit.ts')

const layout = dataLayout(root)
const blobs = await openBlobStore(layout)
const images = openImages({ layout, blobs, users: async () => [], unpackLayer: unpackHere })
if (operation === 'load') await images.load({ source: { stream: streamOf(readFileSync(archive)) } })
if (operation === 'evict') {
  const entries = await images.cache()
  await images.evict(entries.map((entry) => ({ ...entry, ifUnusedSince: Number.POSITIVE_INFINITY })))
}
if (operation === 'remove') await images.remove('app:1', { force: false })
