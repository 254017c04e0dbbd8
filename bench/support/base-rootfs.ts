import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { debianRootfs } from '../../test/support/debian-rootfs.ts'
import { runCommand } from './run-command.ts'

/**
 * A disk image of 1 GiB with a real Debian in it, as tools make one that copy a whole root filesystem for each VM. Made once per machine, beside
 * the root filesystem that it is made of; needs root, because only root can unpack owners and devices.
 *
 * @returns the path of the image
 */
export async function baseRootfs(flavour: 'minbase' | 'large'): Promise<string> {
  const tar = await debianRootfs(flavour)
  const image = tar.replace(/\.tar$/, '.ext4')
  if (await stat(image).catch(() => undefined)) return image
  const root = `${image}.root`
  const half = `${image}.half`
  try {
    await rm(half, { force: true })
    await mkdir(root, { recursive: true })
    await runCommand('tar', ['-x', '--numeric-owner', '-f', tar, '-C', root])
    await runCommand('mke2fs', ['-q', '-t', 'ext4', '-m', '0', '-d', root, half, '1G'])
    await rename(half, image)
  } finally {
    await rm(root, { recursive: true, force: true })
    await rm(half, { force: true })
  }
  return image
}
