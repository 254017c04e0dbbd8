import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { errnoCode, problemFromSystem } from '../base/index.ts'

/** What is at a path. @returns undefined when nothing is @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function fileStatus(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `look at ${path}`)
  }
}
