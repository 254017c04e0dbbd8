import { open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoCode, newId, Problem, problemFromSystem } from '../../base/index.ts'

/**
 * Writes what a server sends to a path on this host, where nothing may be. There is all of it under that name, on the disk, or nothing.
 *
 * @param onBytes hears how much there is
 * @returns bytes written
 * @throws Problem FILE_EXISTS, FILE_NOT_FOUND, NO_SPACE, PERMISSION_DENIED; whatever `source` throws
 */
export async function writeDownload(
  path: string,
  source: AsyncIterable<Buffer>,
  onBytes?: (bytes: number) => void,
): Promise<number> {
  const temporary = join(dirname(path), `.${basename(path)}.${newId()}.tmp`)
  try {
    await refuseExisting(path)
    let bytes = 0
    {
      await using file = await open(temporary, 'wx', 0o644)
      for await (const chunk of source) {
        await file.writeFile(chunk)
        bytes += chunk.length
        onBytes?.(bytes)
      }
      await file.sync()
    }
    await refuseExisting(path)
    await rename(temporary, path)
    return bytes
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') throw noDirectory(path)
    await rm(temporary, { force: true })
    throw problemFromSystem(error, `write ${path}`)
  }
}

async function refuseExisting(path: string): Promise<void> {
  try {
    await stat(path)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return
    throw error
  }
  throw new Problem('FILE_EXISTS', `${path} is there already`, { hint: 'choose another path, or remove it first' })
}

function noDirectory(path: string): Problem {
  const directory = dirname(path)
  return new Problem('FILE_NOT_FOUND', `cannot write ${path}: there is no directory ${directory}`, {
    hint: 'make it first, or choose another path',
  })
}
