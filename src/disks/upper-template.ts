import { mkdir, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type DataLayout, errnoCode, formatSize, Problem, problemFromSystem } from '../base/index.ts'
import { installFile, openStaging, runTool } from '../host/index.ts'

/** Below this the journal and the inode tables would be most of it. */
export const smallestUpper = 64 * 2 ** 20
/** The largest file that ext4, the least of the filesystems below us, can hold. */
export const largestUpper = 16 * 2 ** 40 - 4096

const building = new Map<string, Promise<void>>()

/**
 * Makes the template of uppers of a size, unless it is there: an empty ext4, as a sparse file with some 60 KiB of data whatever its size.
 * Callers at once wait for the same one. The same size gives the same bytes on every host and run.
 *
 * @param bytes the apparent size; a multiple of 4096 is made of it (upperBytes)
 * @returns the path of the template
 * @throws Problem INVALID_REQUEST for an impossible size; TOOL_NOT_FOUND, TOOL_FAILED, NO_SPACE; nothing is left then
 */
export async function ensureUpperTemplate(layout: DataLayout, bytes: number): Promise<string> {
  const size = upperBytes(bytes)
  const path = layout.upperTemplate(size)
  if (await isThere(path, size)) return path
  let build = building.get(path)
  if (build === undefined) {
    build = buildTemplate(layout, path, size).finally(() => building.delete(path))
    building.set(path, build)
  }
  await build
  return path
}

/** The size that an upper gets: whole blocks, at least `bytes`. */
export function upperBytes(bytes: number): number {
  const whole = Math.ceil(bytes / 4096) * 4096
  if (whole >= smallestUpper && whole <= largestUpper) return whole
  throw new Problem('INVALID_REQUEST', `an upper of ${formatSize(bytes)} cannot be made`, {
    hint: 'choose a size from 64MiB to 16TiB, like --upper-size 5GiB',
    data: { bytes },
  })
}

async function isThere(path: string, size: number): Promise<boolean> {
  try {
    return (await stat(path)).size === size
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false
    throw problemFromSystem(error, `look at ${path}`)
  }
}

async function buildTemplate(layout: DataLayout, path: string, size: number): Promise<void> {
  await using staging = await openStaging(layout, 'template')
  const staged = join(staging.path, 'upper.ext4')
  await makeHole(staged, size)
  await mkdir(layout.templates, { recursive: true, mode: 0o700 })
  await runTool('mke2fs', [...mke2fsOptions(size), staged], { env: reproducible })
  await installFile({ from: staged, to: path, mode: 0o600 })
}

async function makeHole(path: string, size: number): Promise<void> {
  try {
    await using file = await open(path, 'wx', 0o600)
    await file.truncate(size)
  } catch (error) {
    throw problemFromSystem(error, `make a file of ${formatSize(size)}`)
  }
}

/**
 * As few blocks as an ext4 with a journal can have, in as few extents, because all that is allocated here is copied into every shed
 * wherever files cannot share extents: measured for 5 GiB, 56 KiB in 5 extents, against 64 MiB with the defaults.
 *
 * The inode tables are holes that are marked as zeroed: the guest's kernel would otherwise zero them after the first mount (ext4lazyinit),
 * 80 MiB of writes for each shed, which need not stay holes on their way through the virtual disk.
 *
 * @see mke2fs(8), ext4(5)
 */
function mke2fsOptions(size: number): string[] {
  const features =
    'has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,large_file,huge_file,dir_nlink,extra_isize,metadata_csum'
  const extended = [
    // One backup of the superblock, not one for every few groups; all metadata side by side.
    'num_backup_sb=1',
    'packed_meta_blocks=1',
    // Zeros need not be written into a hole.
    'lazy_itable_init=1',
    'lazy_journal_init=1',
    `hash_seed=${hashSeed}`,
  ]
  const journal = size >= 2 ** 30 ? 16 : 4
  return [
    ...['-q', '-F', '-t', 'ext4', '-b', '4096', '-I', '256', '-i', '16384', '-m', '0', '-U', uuid],
    // `none` first: what a distribution adds to its mke2fs.conf is not for us. -J is in MiB.
    ...['-O', `none,${features},sparse_super2`, '-J', `size=${journal}`, '-E', extended.join(',')],
  ]
}

/** "cowshed" in hex. A guest sees one upper only, so that all may have the same. */
const uuid = '636f7773-6865-6400-8000-000000000000'
const hashSeed = '636f7773-6865-6401-8000-000000000000'

/** Other inputs of mke2fs: its configuration, and its clock, by its older name and the newer (e2fsprogs 1.47.1). */
const reproducible = {
  MKE2FS_CONFIG: '/dev/null',
  E2FSPROGS_FAKE_TIME: '1704067200',
  SOURCE_DATE_EPOCH: '1704067200',
}
