import type { Cli } from '../cli.ts'
import { absolutePath } from './absolute-path.ts'

/** What every option that names one says of it. */
export const placeHelp = "a directory of the daemon's host, or s3://BUCKET/PREFIX"

/** A place for backups as the daemon takes it. */
export function backupPlace(cli: Pick<Cli, 'cwd'>, text: string): string {
  return /^[a-z0-9]+:\/\//.test(text) ? text : absolutePath(cli, text)
}
