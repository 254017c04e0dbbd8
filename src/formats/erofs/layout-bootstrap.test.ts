import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { expectedOf, fsckErofs, snapshotOfDirectory, withMountedErofs } from '../../../test/support/erofs-mount.ts'
import { needs } from '../../../test/support/needs.ts'
import { layoutBootstrap } from './layout-bootstrap.ts'
import type { DirectoryNode, FileNode } from './tree.ts'

const at = { mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 1_600_000_000, mtimeNanoseconds: 5, xattrs: [] }

test.runIf(needs({ root: true, tools: ['fsck.erofs'] }))('the kernel mounts', async () => {
  const dir = mkdtempSync(`${tmpdir()}/x-`)
  const file: FileNode = { ...at, kind: 'file', size: 5, data: { kind: 'inline', bytes: Buffer.from('hello') } }
  const big: FileNode = {
    ...at,
    uid: 3e9,
    mtimeSeconds: -5,
    kind: 'file',
    size: 5000,
    data: { kind: 'blocks', blob: 0, startBlock: 1 },
  }
  const root: DirectoryNode = {
    ...at,
    mode: 0o755,
    kind: 'directory',
    xattrs: [{ name: 'user.x', value: Buffer.from('y') }],
    children: new Map([
      ['b', file],
      ['a', file],
      ['!', big],
    ]),
  }
  const b = layoutBootstrap(root, { uuid: Buffer.alloc(16, 7), blobBlocks: [3] })
  writeFileSync(`${dir}/i`, Buffer.concat([...b.chunks(), Buffer.alloc(4096), Buffer.alloc(8192, 'x')]))
  await fsckErofs(`${dir}/i`)
  const found = await withMountedErofs(`${dir}/i`, snapshotOfDirectory)
  expect(found).toEqual(expectedOf(root, () => Buffer.alloc(5000, 'x')))
  rmSync(dir, { recursive: true })
})
