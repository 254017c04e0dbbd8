import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DataLayout } from '../../base/index.ts'
import { type CloneStrategy, cloneFile, type Filesystem, filesystemOf, openStaging } from '../../host/index.ts'
import { firstData } from '../btrfs/first-data.ts'
import type { Check } from './check.ts'

/** Which strategy disks of new sheds are cloned by: found out by cloning a file. */
export const cloneCheck: Check = {
  name: 'disk clones',
  async look({ layout }) {
    const [strategy, { type, freeBytes }] = await Promise.all([tryClone(layout), filesystemOf(layout.root)])
    const found = `${strategy}: ${whyOf(strategy, type)}`
    if (shares.has(strategy)) return { verdict: 'ok', found }
    // Sheds work: an upper is nearly empty when it is made. What a whole root filesystem or a lower has is written again for each.
    return { verdict: 'ok', found, hint: await betterWay(layout, freeBytes) }
  },
}

const shares: ReadonlySet<CloneStrategy> = new Set(['clonefile', 'ficlone'])

async function tryClone(layout: DataLayout): Promise<CloneStrategy> {
  await using staging = await openStaging(layout, 'doctor')
  const [from, to] = [join(staging.path, 'from'), join(staging.path, 'to')]
  await writeFile(from, Buffer.alloc(4096, 1))
  await truncate(from, 2 ** 20)
  return (await cloneFile(from, to)).strategy
}

function whyOf(strategy: CloneStrategy, type: Filesystem['type']): string {
  if (shares.has(strategy)) return `files on ${type} share extents, so that a new disk takes no space`
  const why = type === 'xfs' ? 'this xfs was made without reflink=1' : `files on ${nameOf(type)} share no extents`
  const how =
    strategy === 'copy_file_range' ? 'the kernel copies the data of a new disk' : 'the data of a new disk is copied'
  return `${why}: ${how}, and holes stay holes`
}

function nameOf(type: Filesystem['type']): string {
  return type === 'other' ? 'this filesystem' : type
}

async function betterWay(layout: DataLayout, freeBytes: number): Promise<string> {
  const command = `cowshed setup --btrfs ${Math.max(1, Math.floor(freeBytes / 2e9))}GB`
  const data = await firstData(layout)
  if (data === undefined)
    return `for disks that share: end this daemon (kill ${process.pid}), then, as root: ${command}`
  return `for disks that share: a data directory (--data DIR) on btrfs or xfs; or an empty one and, as root: ${command}`
}
