import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fsckExt4 } from '../../test/support/ext4-mount.ts'
import { onEachFilesystem, withSmallFilesystem } from '../../test/support/filesystems.ts'
import { isOnPath, needs } from '../../test/support/needs.ts'
import { noise } from '../../test/support/noise.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { layoutExt4 } from '../formats/index.ts'
import { openExtentSource } from '../host/index.ts'
import { createRootfs } from './index.ts'

const [MiB, GiB] = [2 ** 20, 2 ** 30]
const canMount = needs({ root: true, tools: ['e2fsck', 'mount', 'umount'] })

if (canMount) {
  onEachFilesystem(['btrfs', 'xfs', 'ext4'], (fs) => {
    test('a root filesystem is a clone in which a few blocks differ', async () => {
      const image = writeImage(fs.path('image'))
      for (const name of ['one', 'two']) {
        const { strategy, logicalBytes } = await createRootfs({ image, bytes: 5 * GiB, to: fs.path(name) })
        expect(strategy).toBe(fs.reflinks ? 'ficlone' : 'copy_file_range')
        expect(logicalBytes).toBe(5 * GiB)
        expect(await stat(fs.path(name))).toMatchObject({ size: 5 * GiB, mode: 0o100600 })
        await fsckExt4(fs.path(name))
        expect(await fs.allocated(name)).toBeLessThan(24 * MiB)
      }
      // Superblock, descriptors, the bitmap of the last group.
      const own = await bytesBeyond(fs.path('two'), image)
      if (fs.reflinks) expect(own).toBe(3 * 4096)
      else expect(own).toBeGreaterThan(20 * MiB)
    })
  })
}

describe.runIf(needs({ tools: ['e2fsck'] }))('createRootfs', () => {
  test('refuses sizes that cannot be, and keeps nothing then', async () => {
    await using dir = await temporaryDirectory()
    const image = writeImage(join(dir.path, 'image'))
    for (const bytes of [0, MiB, 127 * MiB, 2 ** 45]) {
      const attempt = createRootfs({ image, bytes, to: join(dir.path, 'no') })
      await expect(attempt).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    }
    await expect(createRootfs({ image: '/nowhere', bytes: GiB, to: join(dir.path, 'no') })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    })
    expect(await readdir(dir.path)).toEqual(['image'])
    await createRootfs({ image, bytes: 128 * MiB, to: join(dir.path, 'least') })
    await fsckExt4(join(dir.path, 'least'))
  })
})

test.runIf(canMount && isOnPath('mkfs.ext4'))(
  'a disk that is full for a root filesystem keeps nothing of it',
  async () => {
    await withSmallFilesystem('ext4', 64 * MiB, async (directory, fs) => {
      const image = writeImage(fs.path('image'))
      await fs.fill({ leave: '1MiB' })
      const attempt = createRootfs({ image, bytes: GiB, to: join(directory, 'full') })
      await expect(attempt).rejects.toMatchObject({ code: 'NO_SPACE' })
      expect(await fs.exists('full')).toBe(false)
    })
  },
)

/** A filesystem with one file of 20 MiB. */
function writeImage(path: string): string {
  const plain = { uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: [] }
  const bytes = noise(20 * MiB, 'rootfs')
  const file = { ...plain, kind: 'file', mode: 0o644, size: bytes.length, data: { kind: 'inline', bytes } } as const
  const image = layoutExt4(
    { ...plain, kind: 'directory', mode: 0o755, children: new Map([['file', file]]) },
    { uuid: Buffer.alloc(16, 1), hashSeed: Buffer.alloc(16, 2), blobBlocks: [] },
  )
  const fd = openSync(path, 'wx', 0o444)
  ftruncateSync(fd, image.bytes)
  for (const piece of image.pieces()) writeSync(fd, piece.bytes, 0, piece.bytes.length, piece.offset)
  closeSync(fd)
  return path
}

/** How much of a file is on blocks that another one does not have. */
async function bytesBeyond(path: string, other: string): Promise<number> {
  using source = openExtentSource(dirname(path))
  source.settle()
  const blocksOf = async (file: string) => {
    const { ino, blocks } = await stat(file)
    const [found] = source.extentsOf([{ path: file, inode: ino, allocatedBytes: blocks * 512 }])
    const addresses = new Set<number>()
    for (const [index, start] of (found?.starts ?? []).entries()) {
      for (let at = 0; at < (found?.lengths[index] ?? 0); at += 4096) addresses.add(start + at)
    }
    return addresses
  }
  const theirs = await blocksOf(other)
  return [...(await blocksOf(path))].filter((address) => !theirs.has(address)).length * 4096
}
