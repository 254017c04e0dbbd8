import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { type BuiltLayer, buildImage, buildLayer, ociArchive } from './image-builder.ts'
import type { TarPiece } from './tar-builder.ts'

/** What busyboxArchive needs, for `needs({tools})`. */
export const busyboxImageTools = ['busybox']

/**
 * An OCI archive of a small image that boots: busybox in the first layer, a second that adds, a third that deletes. The environment, working
 * directory and user of its config are those that tests look for.
 *
 * @param more files of the last layer
 * @param above layers above that
 */
export function busyboxArchive(
  ref = 'mini:1',
  more: readonly TarPiece[] = [],
  above: readonly BuiltLayer[] = [],
): Buffer {
  const layers = [busyboxLayer(), buildLayer(additions), buildLayer([...deletions, ...more]), ...above]
  const image = buildImage({ layers, run: { Env: ['PATH=/bin', 'FROM_IMAGE=yes'], WorkingDir: '/srv', User: '0' } })
  return ociArchive([{ image, ref }])
}

/** A layer with all that an image needs to boot. */
export function busyboxLayer(): BuiltLayer {
  return buildLayer(busyboxFiles())
}

const additions: TarPiece[] = [
  { path: 'srv/kept', content: 'kept\n' },
  { path: 'srv/gone', content: 'gone\n' },
  { path: 'etc/old/file', content: 'old\n' },
]

const deletions: TarPiece[] = [
  { path: 'srv/.wh.gone', content: '' },
  { path: 'etc/old/.wh..wh..opq', content: '' },
  { path: 'etc/old/new', content: 'new\n' },
]

function busyboxFiles(): TarPiece[] {
  const path = ['/usr/bin/busybox', '/bin/busybox'].find(existsSync) ?? '/bin/busybox'
  const applets = execFileSync(path, ['--list'], { encoding: 'utf8' }).trim().split('\n')
  const directories = ['bin', 'dev', 'etc', 'proc', 'root', 'run', 'srv', 'sys', 'tmp', 'usr', 'var']
  return [
    ...directories.map((name): TarPiece => ({ path: name, type: 'directory', mode: 0o755 })),
    { path: 'bin/busybox', mode: 0o755, content: readFileSync(path) },
    ...applets
      .filter((name) => name !== 'busybox')
      .map((name): TarPiece => ({ path: `bin/${name}`, type: 'symlink', linkTarget: 'busybox' })),
    { path: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' },
    { path: 'etc/group', content: 'root:x:0:\nnogroup:x:65534:\n' },
  ]
}
