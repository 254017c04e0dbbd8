import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { Problem, problemFromSystem } from '../../base/index.ts'

/**
 * The loop device by which a file is mounted at a directory.
 *
 * @param root without links
 * @returns undefined when nothing is mounted there
 * @throws Problem DATA_DIRECTORY_IN_USE when it is something else that is mounted there
 * @see proc_pid_mountinfo(5)
 */
export async function loopMountAt(root: string, file: string): Promise<string | undefined> {
  // What was mounted last is what is seen.
  const line = (await read('/proc/self/mountinfo'))
    .split('\n')
    .findLast((entry) => plainPath(entry.split(' ')[4] ?? '') === root)
  if (line === undefined) return undefined
  const [type = '', source = ''] = line.slice(line.indexOf(' - ') + 3).split(' ')
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

/** Spaces and the like are written in octal. */
function plainPath(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}
