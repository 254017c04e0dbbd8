import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { busyboxArchive } from './busybox-image.ts'
import { type Cowshed, openCowshed } from './cowshed.ts'
import { type FilesystemType, mountFresh } from './mount-filesystem.ts'

export interface CowshedOn extends AsyncDisposable {
  readonly cowshed: Cowshed
  /** Where the filesystem is mounted: the data directory is below it, and there is room beside that. */
  readonly directory: string
}

/** A data directory on a fresh filesystem of so many bytes, with the image `mini:1`. Needs root. */
export async function cowshedOn(type: FilesystemType, bytes: number): Promise<CowshedOn> {
  const mounted = await mountFresh(type, bytes)
  const { directory } = mounted
  const cowshed = await openCowshed({ data: join(directory, 'd') })
  const archive = join(directory, 'mini.tar')
  await writeFile(archive, busyboxArchive())
  await cowshed.ok('image', 'load', archive)
  return {
    cowshed,
    directory,
    async [Symbol.asyncDispose]() {
      await cowshed[Symbol.asyncDispose]()
      await mounted[Symbol.asyncDispose]()
    },
  }
}

/** Makes the shed `web` there, which has the volume `data` at /data. */
export async function createWebWithVolume({ cowshed }: CowshedOn): Promise<void> {
  await cowshed.ok('volume', 'create', 'data', '--size', '64MiB')
  const size = ['--memory', '128MiB', '--upper-size', '64MiB']
  await cowshed.ok('create', 'web', '--image', 'mini:1', ...size, '--volume', 'data:/data')
}
