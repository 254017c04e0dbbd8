import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { type DataLayout, Problem, problemFromSystem } from '../base/index.ts'
import { type FileLock, lockFile } from '../host/index.ts'

/**
 * Makes the data directory when it is absent and takes it for this process: until the lock is released, or the process is gone in whatever
 * way, no other daemon can have it. The lock file holds the pid of its holder, for people only.
 *
 * @throws Problem DATA_DIRECTORY_IN_USE naming the pid, DATA_DIRECTORY_INVALID, PERMISSION_DENIED
 */
export async function holdDataDirectory({ root, lock }: DataLayout): Promise<FileLock> {
  await makeDirectory(root)
  const held = await lockFile(lock, { mode: 'exclusive', wait: false })
  if (held === undefined) throw await inUse(root, lock)
  await writeFile(lock, `${process.pid}\n`)
  return held
}

async function makeDirectory(root: string): Promise<void> {
  try {
    const made = await mkdir(root, { recursive: true, mode: 0o700 })
    // mkdir's mode passes through the umask; disks and consoles of sheds are nobody else's business.
    if (made !== undefined) await chmod(root, 0o700)
  } catch (error) {
    const problem = problemFromSystem(error, `make the data directory ${root}`)
    if (problem.code !== 'FILE_EXISTS' && problem.code !== 'IO_FAILED') throw problem
    throw new Problem('DATA_DIRECTORY_INVALID', problem.message, {
      cause: error,
      hint: 'choose another one: --data DIR',
    })
  }
}

async function inUse(root: string, lock: string): Promise<Problem> {
  const pid = Number.parseInt(await readFile(lock, 'utf8').catch(() => ''), 10)
  const holder = Number.isInteger(pid) ? ` with pid ${pid}` : ''
  const end = holder === '' ? '' : `; or end it, its sheds run on: kill ${pid}`
  return new Problem('DATA_DIRECTORY_IN_USE', `another daemon${holder} holds the data directory ${root}`, {
    hint: `use it as it is: cowshed --data ${root} ls${end}`,
    ...(holder === '' ? {} : { data: { pid } }),
  })
}
