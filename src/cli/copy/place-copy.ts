import { posix } from 'node:path'
import { Problem } from '../../base/index.ts'

export interface PlaceCopy {
  /** As it was typed: `/.` at its end means what is in it. */
  readonly from: string
  readonly isDirectory: boolean
  /** As it was typed: a slash at its end means a directory. */
  readonly to: string
  /** What is at `to`, through symbolic links. */
  readonly existing: 'directory' | 'other' | undefined
  /** The last name of `from`; empty for a root. */
  readonly name: string
}

/**
 * Where a copy goes, by the rules of `docker cp`: into a directory that is there, else under the name that was given.
 *
 * @throws Problem FILE_NOT_FOUND, FILE_EXISTS where neither is possible
 */
export function placeCopy({ from, isDirectory, to, existing, name }: PlaceCopy): string {
  const path = to.replace(/(?<=.)\/+$/, '')
  if (existing === 'directory') return name === '' || /(^|\/)\.$/.test(from) ? path : posix.join(path, name)
  if (existing === 'other' && (isDirectory || path !== to)) {
    throw new Problem('FILE_EXISTS', `${path} is no directory`, { hint: 'remove it first, or choose another name' })
  }
  if (path !== to && !isDirectory) throw noDirectory(path)
  return path
}

export function noDirectory(path: string, makeIt = `mkdir -p ${path}`): Problem {
  return new Problem('FILE_NOT_FOUND', `there is no directory ${path}`, { hint: `make it: ${makeIt}` })
}
