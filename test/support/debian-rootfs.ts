import { execFile } from 'node:child_process'
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { lockFile } from '../../src/host/index.ts'

const run = promisify(execFile)
const release = 'bookworm'

/**
 * `minbase` is about 170 MB and has no init; `large`, with compilers that nobody runs, about 560 MB; `programs`, with Python, Node and more compilers, over 1 GB; `init`, in which systemd is PID 1, 150 MB: the least that
 * boots, without apt and most of what is translated.
 */
const flavours = {
  minbase: ['--variant=minbase'],
  large: ['--variant=minbase', '--include=build-essential,python3,git,perl-doc'],
  programs: [
    '--variant=minbase',
    '--include=build-essential,python3,nodejs,git,perl-doc,golang-go,openjdk-17-jdk-headless',
  ],
  init: [
    '--variant=essential',
    '--include=systemd-sysv,dbus,iproute2,procps',
    '--dpkgopt=path-exclude=/usr/share/locale/[b-z]*',
  ],
} as const

/**
 * A real Debian root filesystem as a tar, made by mmdebstrap from Debian's archive when this machine has none yet (20 s to 2 min).
 * It is for reading; whoever else makes it at the same time is waited for.
 *
 * @returns the path of the tar
 */
export async function debianRootfs(flavour: keyof typeof flavours = 'minbase'): Promise<string> {
  const directory = process.getuid?.() === 0 ? '/var/cache/cowshed-test' : join(tmpdir(), 'cowshed-test')
  const tar = join(directory, `debian-${release}-${flavour}-${process.arch}.tar`)
  await mkdir(directory, { recursive: true })
  using _lock = await lockFile(`${tar}.lock`, { mode: 'exclusive', wait: true })
  if (await isThere(tar)) return tar
  const half = `${tar}.half`
  await rm(half, { force: true })
  await run('mmdebstrap', ['--quiet', '--format=tar', ...flavours[flavour], release, half], {
    timeout: 600_000,
  })
  await rename(half, tar)
  return tar
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
