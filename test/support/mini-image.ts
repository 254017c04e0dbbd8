import { copyFile, mkdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runTool } from '../../src/host/index.ts'

/** The tools that a mini image needs, for `needs({tools})`. */
export const miniImageTools = ['busybox', 'mkfs.erofs', 'mke2fs']

export interface MiniImage {
  /** An erofs with busybox and little else: 1 MB. */
  readonly lower: string
  /** Makes a fresh ext4 of 64 MiB, sparse, at `<stem>.ext4`. */
  upper(stem: string): Promise<string>
}

/** The smallest image that boots and runs commands, made below a directory in a blink. */
export async function miniImage(directory: string): Promise<MiniImage> {
  const root = join(directory, 'mini-root')
  for (const name of ['bin', 'dev', 'etc', 'proc', 'root', 'run', 'sys', 'tmp', 'usr', 'var', 'www']) {
    await mkdir(join(root, name), { recursive: true })
  }
  await copyFile('/usr/bin/busybox', join(root, 'bin/busybox')).catch(() =>
    copyFile('/bin/busybox', join(root, 'bin/busybox')),
  )
  const { stdout } = await runTool(join(root, 'bin/busybox'), ['--list'])
  for (const applet of stdout.toString().trim().split('\n')) {
    if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet))
  }
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n')
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n')
  await writeFile(join(root, 'www/index.html'), 'hello from the guest\n')
  const lower = join(directory, 'mini.erofs')
  await runTool('mkfs.erofs', ['-T0', lower, root])
  return { lower, upper: (stem) => freshUpper(`${stem}.ext4`) }
}

async function freshUpper(path: string): Promise<string> {
  await writeFile(path, '')
  await truncate(path, 64 * 2 ** 20)
  await runTool('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=1,lazy_journal_init=1', path])
  return path
}
