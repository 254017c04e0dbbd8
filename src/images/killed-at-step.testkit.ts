/**
 * A program that loads an archive into a data directory, pulls an image, publishes the image app:1, drops its layers, removes it, or evicts all
 * that is derived, or makes a lower of what is lazy and whole, and is killed (SIGKILL) just before its nth step on the disk:
 * `killed-at-step.testkit.ts <n> load|pull|publish|drop|remove|evict|settle <root> <archive, reference or chunk index>`. It prints each step that it takes.
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
const { dataLayout, parseDigest } = await import('../base/index.ts')
const { openRegistries } = await import('../wires/index.ts')
const { streamOf, unpackHere } = await import('./images.testkit.ts')

const layout = dataLayout(root)
const blobs = await openBlobStore(layout)
const registries = openRegistries()
const images = openImages({ layout, blobs, users: async () => [], unpackLayer: unpackHere, registries })
if (operation === 'load') await images.load({ source: { stream: streamOf(readFileSync(archive)) } })
if (operation === 'pull') await images.pull({ ref: archive, insecure: true })
if (operation === 'publish') await images.publish({ ref: 'app:1', destination: archive, insecure: true })
if (operation === 'settle') await images.settleLazyLower(parseDigest(archive))
if (operation === 'drop') for (const planned of await images.planLayerDrops()) await images.dropLayers(planned)
if (operation === 'evict') {
  const entries = await images.cache()
  await images.evict(entries.map((entry) => ({ ...entry, ifUnusedSince: Number.POSITIVE_INFINITY })))
}
if (operation === 'remove') await images.remove('app:1', { force: false })
await registries.close()
