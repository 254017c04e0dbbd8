/**
 * Compares a running shed with the image that it was made from: walks the layers of the image, looks at every file from inside of the guest, and
 * prints every difference. For a shed that was just created; what is written in it later is a difference, too.
 *
 *     node --import tsx test/support/guest-tree/compare-guest.ts SHED [DATA_DIRECTORY]
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv, execPath, exit, stdout } from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Shed } from '../../../src/contract/index.ts'
import { parseImageConfig, parseManifest } from '../../../src/formats/index.ts'
import { decompress, sniffCompression } from '../../../src/host/index.ts'
import { readTar } from '../read-tar.ts'
import type { TreeSnapshot } from '../snapshot-tree.ts'
import { differences } from './differences.ts'
import { buildLister, parseListing } from './guest-snapshot.ts'
import { snapshotOfLayers } from './image-snapshot.ts'

/** Runs `cowshed …` to its end, which must be a good one. @returns what it printed */
export type RunCowshed = (...words: string[]) => Promise<string>

/** @returns a line for every difference */
export async function compareGuest(run: RunCowshed, shed: string): Promise<string[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'cowshed-compare-'))
  try {
    const found = await guestTree(run, shed, scratch)
    const { image } = JSON.parse(await run('inspect', shed, '--json')) as Shed
    const archive = join(scratch, 'image.tar')
    await run('image', 'save', image.manifest_digest, '-o', archive)
    return differences(snapshotOfLayers(await layersOf(archive, image.manifest_digest)), found)
  } finally {
    await rm(scratch, { recursive: true })
  }
}

/** The program goes to /run, which is a mount of its own: what is looked at stays as it is. */
async function guestTree(run: RunCowshed, shed: string, scratch: string): Promise<TreeSnapshot> {
  const lister = join(scratch, 'list-tree')
  await buildLister(lister)
  await run('cp', lister, `${shed}:/run/list-tree`)
  return parseListing(await run('exec', shed, '--', '/run/list-tree'))
}

/** The layers of an image in an OCI archive, decompressed, in order. */
async function layersOf(archive: string, manifestDigest: string): Promise<Buffer[]> {
  const members = readTar(await readFile(archive)).members.map(
    ({ entry, content }) => [entry.path.toString(), content] as const,
  )
  const files = new Map(members)
  const blob = (digest: string): Buffer => {
    const bytes = files.get(`blobs/${digest.replace(':', '/')}`)
    if (bytes === undefined) throw new Error(`the archive has no ${digest}`)
    return bytes
  }
  const { layers, config } = parseManifest(blob(manifestDigest))
  if (parseImageConfig(blob(config.digest)).diffIds.length !== layers.length) throw new Error('layers are missing')
  return await Promise.all(layers.map(({ digest }) => decompressed(blob(digest))))
}

async function decompressed(bytes: Buffer): Promise<Buffer> {
  const pieces: Buffer[] = []
  const source = (async function* () {
    yield bytes
  })()
  const options = { compression: sniffCompression(bytes.subarray(0, 4)), maxBytes: 2 ** 33 }
  for await (const piece of decompress(source, options)) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

async function main(shed: string, data: string | undefined): Promise<number> {
  const launcher = join(import.meta.dirname, '../../../bin/cowshed')
  const common = data === undefined ? [] : ['--data', data]
  const run: RunCowshed = async (...words) => {
    const options = { maxBuffer: 2 ** 30, encoding: 'latin1' } as const
    return (await promisify(execFile)(execPath, [launcher, ...common, ...words], options)).stdout
  }
  const lines = await compareGuest(run, shed)
  stdout.write(lines.map((line) => `${line}\n`).join('') || `${shed} is what its image says\n`)
  return lines.length === 0 ? 0 : 1
}

const [, script, shed, data] = argv
if (script === fileURLToPath(import.meta.url) && shed !== undefined) exit(await main(shed, data))
