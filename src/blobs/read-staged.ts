import { type DataLayout, problemFromSystem, shortDigest } from '../base/index.ts'
import type { StagedBlob } from './stage-blob.ts'

/**
 * Reads a staged blob where it is. One that several have a share in may be installed by any of them at any moment: then it is in the store, where
 * it stays for as long as it is leased.
 *
 * @throws Problem FILE_NOT_FOUND, IO_FAILED, and whatever `read` throws
 */
export async function readStaged<T>(
  layout: DataLayout,
  { path, digest }: StagedBlob,
  read: (path: string) => Promise<T>,
): Promise<T> {
  const doing = `read blob ${shortDigest(digest)}`
  try {
    return await read(path)
  } catch (error) {
    const problem = problemFromSystem(error, doing)
    if (problem.code !== 'FILE_NOT_FOUND') throw problem
  }
  try {
    return await read(layout.blob(digest))
  } catch (error) {
    throw problemFromSystem(error, doing)
  }
}
