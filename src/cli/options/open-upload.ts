import { open } from 'node:fs/promises'
import { Problem, problemFromSystem } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import { absolutePath } from './absolute-path.ts'

interface Upload {
  /** What a file is that can be sent, and what else one might give. */
  readonly noun: string
  /** What to type instead. */
  readonly hint: string
}

/** A file of this host as a stream, to be sent. @throws Problem FILE_NOT_FOUND, PERMISSION_DENIED; INVALID_REQUEST for what is no file */
export async function openUpload(cli: Cli, path: string, { noun, hint }: Upload): Promise<AsyncIterable<Buffer>> {
  const absolute = absolutePath(cli, path)
  try {
    const file = await open(absolute)
    if ((await file.stat()).isFile()) return file.createReadStream({ highWaterMark: 1 << 20 })
    await file.close()
  } catch (error) {
    throw problemFromSystem(error, `read ${absolute}`)
  }
  throw new Problem('INVALID_REQUEST', `${absolute} is no file: ${noun}`, { hint })
}

/** What comes in on stdin. @throws Problem INVALID_REQUEST when a person sits there */
export function stdinUpload(cli: Cli, hint: string): AsyncIterable<Buffer> {
  const { stdin } = cli.terminal
  if (stdin.isTTY === true) throw new Problem('INVALID_REQUEST', 'stdin is a terminal', { hint })
  return stdin
}
