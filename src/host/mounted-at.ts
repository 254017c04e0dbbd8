import { readFile } from 'node:fs/promises'
import { problemFromSystem } from '../base/index.ts'

export interface Mount {
  readonly type: string
  /** A device, or whatever the filesystem was said to come from. */
  readonly source: string
}

/**
 * What is mounted at a path: the last of them, which is what is seen.
 *
 * @param path absolute and without links; nothing there is touched
 * @throws Problem IO_FAILED, FILE_NOT_FOUND where there is no /proc
 * @see proc_pid_mountinfo(5)
 */
export async function mountedAt(path: string): Promise<Mount | undefined> {
  const line = (await mounts()).split('\n').findLast((entry) => plain(entry.split(' ')[4] ?? '') === path)
  if (line === undefined) return undefined
  const [type = '', source = ''] = line.slice(line.indexOf(' - ') + 3).split(' ')
  return { type, source: plain(source) }
}

async function mounts(): Promise<string> {
  try {
    return await readFile('/proc/self/mountinfo', 'utf8')
  } catch (error) {
    throw problemFromSystem(error, 'read /proc/self/mountinfo')
  }
}

/** Spaces and the like are written in octal. */
function plain(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}
