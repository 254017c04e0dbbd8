import { open } from 'node:fs/promises'
import { problemFromSystem } from '../../base/index.ts'

/** Makes a file of this size for RAM, all of it a hole, mode 0600. @throws Problem NO_SPACE, IO_FAILED */
export async function makeHole(path: string, bytes: number): Promise<void> {
  try {
    await using file = await open(path, 'wx', 0o600)
    await file.truncate(bytes)
  } catch (error) {
    throw problemFromSystem(error, `make ${path}`)
  }
}
