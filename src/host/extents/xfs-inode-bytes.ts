import { lastError, libc } from '../libc.ts'

/** _IOR('X', 126, struct xfs_fsop_geom), _IOWR('X', 61, struct xfs_ag_geometry) of xfs_fs.h. */
const XFS_IOC_FSGEOMETRY = 0x8100587e
const XFS_IOC_AG_GEOMETRY = 0xc080583d

/**
 * What an xfs has taken for inodes, used ones and free ones: it takes and frees them by the chunk, 64 at once. Anybody may ask.
 *
 * @param fd any open file of the filesystem
 * @returns undefined where it does not say (Linux before 5.2)
 */
export function xfsInodeBytes(fd: number): number | undefined {
  const filesystem = Buffer.alloc(256)
  if (libc().ioctl(fd, XFS_IOC_FSGEOMETRY, filesystem) < 0) return unlessUnknown()
  const [groups, inodeBytes] = [filesystem.readUInt32LE(12), filesystem.readUInt32LE(24)]
  let inodes = 0
  for (let group = 0; group < groups; group++) {
    const geometry = Buffer.alloc(128)
    geometry.writeUInt32LE(group, 0)
    if (libc().ioctl(fd, XFS_IOC_AG_GEOMETRY, geometry) < 0) return unlessUnknown()
    inodes += geometry.readUInt32LE(12)
  }
  return inodes * inodeBytes
}

function unlessUnknown(): undefined {
  const error = lastError('xfs geometry')
  if (error.code !== 'ENOTTY') throw error
}
