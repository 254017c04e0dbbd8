import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lockFile } from '../../src/host/index.ts'

const root = join(import.meta.dirname, '../..')

/** Sees to it that dist/ and the guest agent are those of this tree, for tests that run the program as users do. */
export async function ensureBuilt(): Promise<void> {
  using _lock = await lockFile(join(tmpdir(), 'cowshed-test-build.lock'), { mode: 'exclusive', wait: true })
  execFileSync('make', ['--silent', '-C', join(root, 'guest')], { stdio: 'inherit' })
  if (newest('src') < modified('dist/daemon.js') && modified('scripts/build.mjs') < modified('dist/daemon.js')) return
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'inherit', cwd: root })
}

function newest(folder: string): number {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return Math.max(
    ...files.filter((file) => !/\.test(kit)?\.ts$/.test(file)).map((file) => modified(join(folder, file))),
  )
}

/** 0 when it is not there. */
function modified(path: string): number {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0
}
