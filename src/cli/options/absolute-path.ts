import { resolve } from 'node:path'
import type { Cli } from '../cli.ts'

/** A path as the daemon understands it: it has another working directory. */
export function absolutePath({ cwd }: Pick<Cli, 'cwd'>, path: string): string {
  return resolve(cwd, path)
}
