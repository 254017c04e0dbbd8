import { readFileSync, statfsSync, statSync } from 'node:fs'
import { errnoCode } from '../../base/index.ts'
import { filesystemTypes } from '../filesystem-of.ts'
import { lastError, libc } from '../libc.ts'
import { btrfsUuid } from './btrfs-uuid.ts'
import { withDirectory } from './with-directory.ts'
import { xfsInodeBytes } from './xfs-inode-bytes.ts'
import { awaitXfsDeletions, releaseXfsReservations } from './xfs-space.ts'

/** What the filesystem of a directory says of its own space, in bytes. */
export interface FilesystemSpace {
  /** Those with the same name share their addresses: subvolumes of a btrfs. */
  readonly id: string
  readonly totalBytes: number
  readonly usedBytes: number
  /** That this user can still write. */
  readonly freeBytes: number
  /** Of `usedBytes` what is data of files, and what is the filesystem's own; where it says so. */
  readonly dataBytes?: number
  readonly metadataBytes?: number
  /** Of `usedBytes` what an xfs has taken for inodes, 64 at once. */
  readonly inodeBytes?: number
}

/** @throws a system error */
export function measureSpace(directory: string): FilesystemSpace {
  const { type, bsize, blocks, bfree, bavail } = statfsSync(directory)
  const space = { totalBytes: bsize * blocks, usedBytes: bsize * (blocks - bfree), freeBytes: bsize * bavail }
  if (filesystemTypes[type] === 'xfs') {
    const inodeBytes = withDirectory(directory, xfsInodeBytes)
    return { ...space, id: `${statSync(directory).dev}`, ...(inodeBytes === undefined ? {} : { inodeBytes }) }
  }
  if (filesystemTypes[type] !== 'btrfs') return { ...space, id: `${statSync(directory).dev}` }
  const id = withDirectory(directory, btrfsUuid)
  const said = (what: string) => Number(readFileSync(`/sys/fs/btrfs/${id}/allocation/${what}`, 'utf8'))
  try {
    // Each of its copies, and what it keeps to be able to delete when it is full, as statfs has it: so the parts come to the whole.
    const metadataBytes = said('metadata/disk_used') + said('system/disk_used') + said('global_rsv_size')
    return { ...space, id, dataBytes: said('data/bytes_used'), metadataBytes }
  } catch (error) {
    // A container may have no /sys, or another kernel's.
    if (errnoCode(error) === undefined) throw error
    return { ...space, id }
  }
}

/**
 * Waits until what has been deleted and written on the filesystem of a directory is so on its disk: filesystems free late, btrfs with its next
 * transaction, xfs in the background. Blocks the thread meanwhile.
 *
 * @throws a system error
 */
export function settleFilesystem(directory: string): void {
  withDirectory(directory, (fd) => {
    if (libc().syncfs(fd) < 0) throw lastError('syncfs')
  })
  awaitDeletions(directory)
}

/** The same for what has been deleted alone, where that goes on in the background. */
export function awaitDeletions(directory: string): void {
  withDirectory(directory, (fd) => onXfs(directory, () => awaitXfsDeletions(fd)))
}

/** Gives back what an xfs holds ready for writes to come (releaseXfsReservations); elsewhere, or without the privilege, nothing. */
export function releaseReservations(directory: string): void {
  withDirectory(directory, (fd) =>
    onXfs(directory, () => {
      // It leaves files alone that have something to be written.
      if (libc().syncfs(fd) < 0) throw lastError('syncfs')
      releaseXfsReservations(fd)
    }),
  )
}

/** Without the privilege it is a matter of moments, or of doing without. */
function onXfs(directory: string, work: () => void): void {
  if (filesystemTypes[statfsSync(directory).type] !== 'xfs') return
  try {
    work()
  } catch (error) {
    if (errnoCode(error) !== 'EPERM') throw error
  }
}
