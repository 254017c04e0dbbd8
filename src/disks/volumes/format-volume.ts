import { open } from 'node:fs/promises'
import { formatSize, Problem, problemFromSystem } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'
import { largestUpper, smallestUpper } from '../upper-template.ts'

export interface FormatVolume {
  /** Nothing must be there. */
  readonly path: string
  readonly name: string
  /** As volumeBytes says. */
  readonly bytes: number
}

/** The size that a volume gets: whole blocks, at least `bytes`. @throws Problem INVALID_REQUEST for an impossible one */
export function volumeBytes(bytes: number): number {
  const whole = Math.ceil(bytes / 4096) * 4096
  if (whole >= smallestUpper && whole <= largestUpper) return whole
  throw new Problem('INVALID_REQUEST', `a volume of ${formatSize(bytes)} cannot be made`, {
    hint: 'choose a size from 64MiB to 16TiB, like --size 10GiB',
    data: { bytes },
  })
}

/**
 * Makes an empty ext4, sparse, with a label and a UUID of its own. It is not a clone of the template of uppers: the kernel does not make a filesystem larger
 * while it is mounted that has sparse_super2 (fs/ext4/resize.c, ext4_resize_begin), which is what makes those so small.
 *
 * @throws Problem TOOL_NOT_FOUND, TOOL_FAILED, NO_SPACE, IO_FAILED
 * @see mke2fs(8), docs/decisions/0090-volumes.md
 */
export async function formatVolume({ path, name, bytes }: FormatVolume): Promise<void> {
  try {
    await using file = await open(path, 'wx', 0o600)
    await file.truncate(bytes)
  } catch (error) {
    throw problemFromSystem(error, `make a disk of ${formatSize(bytes)}`)
  }
  await runTool('mke2fs', [...options(bytes), '-L', name.slice(0, longestLabel), path], {
    // What a distribution adds to its mke2fs.conf is not for us.
    env: { MKE2FS_CONFIG: '/dev/null' },
  })
}

/** s_volume_name of ext4. */
const longestLabel = 16

function options(bytes: number): string[] {
  const features =
    'has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,large_file,huge_file,dir_nlink,extra_isize,metadata_csum'
  return [
    ...['-q', '-F', '-t', 'ext4', '-b', '4096', '-I', '256', '-i', '16384', '-m', '0'],
    ...['-O', `none,${features},sparse_super,resize_inode`, '-J', `size=${journalMiB(bytes)}`],
    // Zeros need not be written into a hole.
    ...['-E', `resize=${reservedBlocks(bytes)},lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0`],
  ]
}

/**
 * Room for the descriptors of 64 times as much; by default it is for 1,024 times, 4 MiB of zeros of a volume of 10 GiB. One that outgrows it is given another
 * layout by the kernel (meta_bg), which we cannot trim without its guest.
 */
function reservedBlocks(bytes: number): number {
  return Math.min((bytes / 4096) * 64, 2 ** 32 - 1)
}

function journalMiB(bytes: number): number {
  if (bytes < 2 ** 30) return 4
  return bytes < 2 ** 35 ? 16 : 64
}
