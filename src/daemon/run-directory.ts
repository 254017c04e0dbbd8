import { chmod, lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { type DataLayout, digestHex, digestOf, Problem, problemFromSystem } from '../base/index.ts'

export interface RunDirectoryFor {
  readonly uid: number
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A socket in a run directory has a name of at most this many bytes; with it the path must stay within 107. */
const maxDirectoryBytes = 70

/**
 * Where the run-time sockets of a data directory belong. A data directory may have any path, and a socket's path must be short, so they live
 * below /run (as root), $XDG_RUNTIME_DIR or the directory for temporary files, named after a hash of the data directory.
 */
export function runDirectoryPath(layout: Pick<DataLayout, 'root'>, { uid, env }: RunDirectoryFor): string {
  const hash = runDirectoryName(layout)
  if (uid === 0) return `/run/cowshed/${hash}`
  const xdg = env.XDG_RUNTIME_DIR
  const path = `${xdg?.startsWith('/') ? `${xdg}/cowshed` : `${tmpdir()}/cowshed-${uid}`}/${hash}`
  return path.length <= maxDirectoryBytes ? path : `/tmp/cowshed-${uid}/${hash}`
}

/** Where the RAM of a data directory's VMs is, on the tmpfs of all. */
export function ramDirectoryPath(layout: Pick<DataLayout, 'root'>, tmpfs = '/dev/shm'): string {
  return `${tmpfs}/cowshed-${runDirectoryName(layout)}`
}

/** Its own name, below the directory for all of them. */
export function runDirectoryName({ root }: Pick<DataLayout, 'root'>): string {
  return digestHex(digestOf(root)).slice(0, 10)
}

/**
 * Makes the run directory of a data directory, mode 0700.
 *
 * @throws Problem PERMISSION_DENIED when somebody else made it before: whoever owns a directory can replace the sockets in it
 */
export async function makeRunDirectory(
  layout: Pick<DataLayout, 'root'>,
  { uid, env }: RunDirectoryFor,
): Promise<string> {
  const path = runDirectoryPath(layout, { uid, env })
  const parent = path.slice(0, path.lastIndexOf('/'))
  try {
    for (const directory of [parent, path]) {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      await checkOwner(directory, uid)
    }
    await chmod(path, 0o700)
  } catch (error) {
    throw problemFromSystem(error, `make the run directory ${path}`)
  }
  return path
}

async function checkOwner(directory: string, uid: number): Promise<void> {
  const found = await lstat(directory)
  if (found.isDirectory() && found.uid === uid) return
  throw new Problem('PERMISSION_DENIED', `${directory} belongs to somebody else (uid ${found.uid})`, {
    hint: `remove it, or set XDG_RUNTIME_DIR to a directory of your own`,
  })
}
