import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { Problem, problemFromSystem } from '../../base/index.ts'
import { mountedAt } from '../../host/index.ts'

/**
 * The loop device by which a file is mounted at a directory.
 *
 * @param root without links
 * @returns undefined when nothing is mounted there
 * @throws Problem DATA_DIRECTORY_IN_USE when it is something else that is mounted there
 */
export async function loopMountAt(root: string, file: string): Promise<string | undefined> {
  const mount = await mountedAt(root)
  if (mount === undefined) return undefined
  const { type, source } = mount
  if (type === 'btrfs' && (await backingFile(source)) === file) return source
  throw new Problem('DATA_DIRECTORY_IN_USE', `${source} (${type}) is mounted at ${root}`, {
    hint: 'choose another data directory: --data DIR',
  })
}

async function backingFile(device: string): Promise<string | undefined> {
  if (!/^\/dev\/loop\d+$/.test(device)) return undefined
  return (await read(`/sys/block/${basename(device)}/loop/backing_file`)).trimEnd()
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw problemFromSystem(error, `read ${path}`)
  }
}
