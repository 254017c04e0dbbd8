import { createReadStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { type DataLayout, type Digest, errnoCode, problemFromSystem } from '../../base/index.ts'
import { syncDirectory } from '../../host/index.ts'
import type { Lower } from '../lowers/ensure-lower.ts'
import { keptFiles } from './kept-files.ts'

/**
 * What becomes of a lower that came without its layers, now that the layers are here and gave one themselves. When both are the same, one file
 * of them is left, that which sheds may have open, under the name of the other. When they are not, it stays for the sheds that have it open until its image goes.
 *
 * @returns what a person should know, if anything
 * @throws Problem NO_SPACE, IO_FAILED
 */
export async function settleKeptLower(layout: DataLayout, manifest: Digest, built: Lower): Promise<string | undefined> {
  const kept = layout.keptLower(manifest)
  try {
    if (!(await isThere(kept))) return undefined
    if (!(await haveSameBytes(kept, built.path))) {
      return 'the rootfs that was published with the image is not what its layers give here; from now on sheds boot what its layers give'
    }
    await rename(kept, built.path)
    // When both names were of one file, the rename has done nothing: rename(2).
    for (const { path } of keptFiles(layout, manifest)) await rm(path, { force: true })
    await syncDirectory(layout.keptLowers)
    return undefined
  } catch (error) {
    throw problemFromSystem(error, `replace ${kept}`)
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false
    throw error
  }
}

async function haveSameBytes(a: string, b: string): Promise<boolean> {
  const [of, to] = await Promise.all([stat(a), stat(b)])
  if (of.ino === to.ino && of.dev === to.dev) return true
  if (of.size !== to.size) return false
  const other = pieces(b)
  for await (const piece of pieces(a)) {
    const { value } = await other.next()
    if (value === undefined || !piece.equals(value)) return false
  }
  return true
}

const pieceBytes = 1 << 20

/** Of 1 MiB each, whatever sizes the reads have. */
async function* pieces(path: string): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: pieceBytes }) as AsyncIterable<Buffer>) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    if (held.length < pieceBytes) continue
    yield held.subarray(0, pieceBytes)
    held = held.subarray(pieceBytes)
  }
  if (held.length > 0) yield held
}
