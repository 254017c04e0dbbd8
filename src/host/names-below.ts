import { readdir } from 'node:fs/promises'
import { errnoCode, problemFromSystem } from '../base/index.ts'

/** The names in a directory, which need not be there. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function namesBelow(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return []
    throw problemFromSystem(error, `list ${directory}`)
  }
}
