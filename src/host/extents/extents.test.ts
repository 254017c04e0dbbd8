import { describeExtentSource } from '../../../test/conformance/extent-source.ts'
import { blockExtents } from './block-extents.ts'
import { btrfsExtents } from './btrfs-extents.ts'
import { fiemapExtents } from './fiemap-extents.ts'
import { openExtentSource } from './open-extent-source.ts'

const plain = { sharing: true, uncompressed: true, open: openExtentSource }

describeExtentSource('btrfs by its trees', {
  ...plain,
  filesystem: 'btrfs',
  accuracy: 'exact',
  open: btrfsExtents,
})
describeExtentSource('btrfs, compressed', {
  ...plain,
  filesystem: 'btrfs',
  mountOptions: ['compress=zstd:1'],
  accuracy: 'exact',
  uncompressed: false,
})
describeExtentSource('btrfs without privileges', {
  ...plain,
  filesystem: 'btrfs',
  accuracy: 'bounds',
  open: () => fiemapExtents('bounds'),
})
describeExtentSource('xfs', { ...plain, filesystem: 'xfs', mkfsOptions: ['-m', 'rmapbt=0'], accuracy: 'exact' })
describeExtentSource('xfs with a reverse map', {
  ...plain,
  filesystem: 'xfs',
  mkfsOptions: ['-m', 'rmapbt=1'],
  accuracy: 'exact',
})
describeExtentSource('ext4', { ...plain, filesystem: 'ext4', accuracy: 'exact', sharing: false })
describeExtentSource('tmpfs', { ...plain, filesystem: 'tmpfs', accuracy: 'block', sharing: false })
describeExtentSource('a filesystem that says nothing', {
  ...plain,
  filesystem: 'ext4',
  accuracy: 'estimate',
  sharing: false,
  open: () => blockExtents('estimate'),
})
