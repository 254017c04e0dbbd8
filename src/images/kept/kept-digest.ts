import { readFile } from 'node:fs/promises'
import { type DataLayout, type Digest, errnoCode, problemFromSystem, sha256Digest } from '../../base/index.ts'

/** What the bytes of a lower that was built here must be; undefined when nobody has written that down, or a disk has damaged it. */
export async function readKeptDigest(layout: DataLayout, manifest: Digest): Promise<Digest | undefined> {
  const path = layout.keptLowerDigest(manifest)
  try {
    const [, hex] = /^([0-9a-f]{64}) {2}/.exec(await readFile(path, 'latin1')) ?? []
    return hex === undefined ? undefined : sha256Digest(hex)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `read ${path}`)
  }
}
