import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  createReadStream,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { debianRootfs } from '../../../test/support/debian-rootfs.ts'
import { fsckErofs, snapshotOfDirectory, withMountedErofs } from '../../../test/support/erofs-mount.ts'
import { fsckExt4, withMountedExt4, withoutLostAndFound } from '../../../test/support/ext4-mount.ts'
import { buildLayer } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import type { TarMember } from '../../../test/support/tar-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout, parseDigest } from '../../base/index.ts'
import { ensureRootfs } from '../rootfs/ensure-rootfs.ts'
import { ensureLower } from './ensure-lower.ts'
import { lowerKinds } from './lower-kind.ts'
import { someManifest, storeLayers } from './lowers.testkit.ts'
import type { LayerBlob } from './unpack-layer.ts'

const run = promisify(execFile)
const canRun = needs({ root: true, tools: ['mmdebstrap', 'fsck.erofs', 'e2fsck', 'tar', 'gzip', 'zstd'] })

/**
 * The expected tree is a directory of this host in which somebody did by hand what the layers say: Debian unpacked, then files deleted,
 * replaced and linked. It is made with tar(1) and system calls; nothing of cowshed has a part in it.
 */
test.runIf(canRun)('the kernel sees Debian in four layers as it would be on a disk', { timeout: 600_000 }, async () => {
  await using dir = await temporaryDirectory()
  const root = join(dir.path, 'root')
  await mkdir(root)
  await run('tar', ['-x', ...keepAll, '-f', await debianRootfs('init'), '-C', root])
  const layers = [
    await tarLayer(root, 'gzip', ['--exclude=./usr/lib', '--exclude=./usr/share', '.']),
    await tarLayer(root, 'zstd', ['./usr/lib']),
    await tarLayer(root, 'gzip', ['./usr/share']),
    ...(await storeLayers(dir.path, [buildLayer(changeByHand(root))])),
  ]

  const expected = snapshotOfDirectory(root)
  expect(expected.size).toBeGreaterThan(4000)
  for (const kind of kinds) {
    const lower = await ensureLower({
      layout: dataLayout(join(dir.path, 'data')),
      manifest: someManifest,
      layers,
      kind,
    })
    expect(lower).toMatchObject({ kind, warnings: [] })
    const parts = lower.parts.map(({ path }) => path)
    expect(parts.length).toBe(kind.form === 'parts' ? layers.length : 0)
    const compare = (mounted: string) => expect(snapshotOfDirectory(mounted), JSON.stringify(kind)).toEqual(expected)
    await withMountedErofs(lower.path, compare, parts)
    if (kind.form === 'whole') await fsckErofs(lower.path)
  }

  const rootfs = await ensureRootfs({ layout: dataLayout(join(dir.path, 'data')), manifest: someManifest, layers })
  await withMountedExt4(rootfs.path, (mounted) => expect(withoutLostAndFound(mounted)).toEqual(expected))
  await fsckExt4(rootfs.path)
  expect(rootfs.warnings).toEqual([])
})

/** Parts hold the very blobs that a whole lower is put together from; one compressed profile shows that the kernel finds its way in them. */
const kinds = lowerKinds.filter(({ profile, form }) => form === 'whole' || profile === 'lz4')

const keepAll = ['--xattrs', '--xattrs-include=*', '--numeric-owner']

/** Stored beside the root. */
async function tarLayer(root: string, compressor: 'gzip' | 'zstd', what: readonly string[]): Promise<LayerBlob> {
  const tar = join(dirname(root), `${what.at(-1)?.replaceAll('/', '-')}.tar`)
  await run('tar', ['-c', '--format=pax', ...keepAll, '-f', tar, '-C', root, ...what])
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(tar, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  const { stdout } = await run(compressor, ['-1', '-q', '-c', tar], { encoding: 'buffer', maxBuffer: 1 << 30 })
  await writeFile(`${tar}.${compressor}`, stdout)
  rmSync(tar)
  return { diffId: parseDigest(`sha256:${hash.digest('hex')}`), path: `${tar}.${compressor}` }
}

/** Changes the directory, and gives the layer that says the same. */
function changeByHand(root: string): TarMember[] {
  const at = (path: string) => join(root, path)
  const members: TarMember[] = []
  const touched = new Set<string>()
  const changed = (path: string, deed: () => void, inLayer: () => TarMember) => {
    deed()
    members.push(inLayer())
    touched.add(dirname(path))
  }
  const remove = (path: string) =>
    changed(
      path,
      () => rmSync(at(path), { recursive: true }),
      () => whiteout(path),
    )
  const write = (path: string, content: string, mode: number) =>
    changed(
      path,
      () => replaceFile(at(path), content, mode),
      () => memberOf(root, path),
    )

  remove('usr/share/doc')
  remove('usr/share/man')
  remove('etc/issue')
  remove('usr/lib/os-release')
  write('usr/share/doc', 'once a directory\n', 0o600)
  write('etc/debian_version', 'cow/shed\n', 0o644)
  write('usr/bin/new', '#!/bin/sh\n'.repeat(1000), 0o6755)
  changed(
    'etc/motd',
    () => replaceLink(at('etc/motd'), '/nowhere'),
    () => memberOf(root, 'etc/motd'),
  )
  changed(
    'usr/bin/perl-link',
    () => linkSync(at('usr/bin/perl'), at('usr/bin/perl-link')),
    () => ({
      path: 'usr/bin/perl-link',
      type: 'hardlink',
      linkTarget: 'usr/bin/perl',
    }),
  )
  // bin is a symlink to usr/bin: an entry below it goes where it leads.
  changed(
    'usr/bin/through',
    () => replaceFile(at('bin/through'), 'x', 0o755),
    () => ({ ...memberOf(root, 'usr/bin/through'), path: 'bin/through' }),
  )
  changed(
    'usr/share/locale',
    () => {
      for (const name of readdirSync(at('usr/share/locale')))
        rmSync(at(`usr/share/locale/${name}`), { recursive: true })
      write('usr/share/locale/README', 'gone\n', 0o644)
    },
    () => ({ path: 'usr/share/locale/.wh..wh..opq', content: '' }),
  )
  // A differ lists the directories whose times changed.
  return [...members, ...[...touched].map((path) => memberOf(root, path))]
}

function replaceFile(path: string, content: string, mode: number): void {
  rmSync(path, { recursive: true, force: true })
  writeFileSync(path, content)
  chmodSync(path, mode)
}

function replaceLink(path: string, target: string): void {
  rmSync(path)
  symlinkSync(target, path)
}

function whiteout(path: string): TarMember {
  return { path: join(dirname(path), `.wh.${path.split('/').at(-1)}`), content: '' }
}

/** What is at a path now, as an entry. */
function memberOf(root: string, path: string): TarMember {
  const full = join(root, path)
  const { mode, uid, gid, mtimeNs } = lstatSync(full, { bigint: true })
  const kind = lstatSync(full)
  const attributes = {
    path,
    mode: Number(mode & 0o7777n),
    uid: Number(uid),
    gid: Number(gid),
    mtime: { seconds: Number(mtimeNs / 1_000_000_000n), nanoseconds: Number(mtimeNs % 1_000_000_000n) },
  }
  if (kind.isDirectory()) return { ...attributes, type: 'directory' }
  if (kind.isSymbolicLink()) return { ...attributes, type: 'symlink', linkTarget: readlinkSync(full) }
  return { ...attributes, content: readFileSync(full) }
}
