import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import {
  type Digest,
  digestAlgorithm,
  digestHex,
  errnoCode,
  isProblem,
  Problem,
  problemFromSystem,
  shortDigest,
} from '../../base/index.ts'
import { stageBlob } from '../../blobs/index.ts'
import type { TakeApart } from './archive-files.ts'
import { checkOciLayout, rootsOfIndex } from './layout-index.ts'
import type { LoadSource } from './load-source.ts'

/**
 * Opens an OCI layout directory. Only what is asked for is read from it; it is never written to.
 *
 * @throws Problem IMAGE_INVALID when it is no layout, and what its documents deserve
 */
export async function openLayoutDirectory(
  directory: string,
  { staging, onBytes, signal }: Pick<TakeApart, 'staging' | 'onBytes' | 'signal'>,
): Promise<LoadSource> {
  checkOciLayout(await readPart(directory, 'oci-layout'))
  const roots = rootsOfIndex(await readPart(directory, 'index.json'))
  return {
    roots,
    async take({ digest, size }) {
      const path = `${directory}/blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`
      if (!(await checkFile(path, digest, size))) return undefined
      let done = 0
      const count = (bytes: number): void => {
        done += bytes
        onBytes?.(shortDigest(digest), done, size)
      }
      const source = createReadStream(path, { highWaterMark: 2 ** 20 })
      return await stageBlob({ staging, digest, size, source, signal, onBytes: count })
    },
  }
}

/** Whether the blob is there. What is no regular file is never opened: a FIFO would make us wait for ever. */
async function checkFile(path: string, digest: Digest, size: number): Promise<boolean> {
  try {
    const stats = await stat(path)
    if (stats.isFile() && stats.size === size) return true
    const found = stats.isFile() ? `${stats.size} bytes` : 'no file'
    throw new Problem('SIZE_MISMATCH', `blob ${shortDigest(digest)} is ${found}; its descriptor says ${size} bytes`, {
      data: { digest, size },
    })
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false
    throw problemFromSystem(error, `read ${path}`)
  }
}

async function readPart(directory: string, name: string): Promise<Buffer> {
  const path = `${directory}/${name}`
  try {
    const { size } = await stat(path)
    if (size > 8 * 2 ** 20) throw new Problem('LIMIT_EXCEEDED', `${path} has ${size} bytes; at most 8 MiB are accepted`)
    await using file = await open(path, 'r')
    return await file.readFile()
  } catch (error) {
    const problem = isProblem(error) ? error : problemFromSystem(error, `read ${path}`)
    if (problem.code !== 'FILE_NOT_FOUND') throw problem
    throw new Problem('IMAGE_INVALID', `${directory} is no OCI layout: it has no ${name}`, {
      hint: 'a layout is made by: skopeo copy … oci:DIRECTORY:TAG, umoci init, crane pull --format oci',
      cause: error,
    })
  }
}
