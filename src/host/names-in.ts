import { readdir } from 'node:fs/promises'
import { errnoCode, problemFromSystem } from '../base/index.ts'

/** The names in a directory, in no order; none when it is not there. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return []
    throw problemFromSystem(error, `list ${directory}`)
  }
}
