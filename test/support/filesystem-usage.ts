import { readFile, statfs } from 'node:fs/promises'
import { runTool } from '../../src/host/index.ts'

/** Bytes that a filesystem has given away, when all of it is written. */
export async function usedBytes(directory: string): Promise<number> {
  await runTool('sync', ['-f', directory])
  const { blocks, bfree, bsize } = await statfs(directory)
  return (blocks - bfree) * bsize
}

/** Bytes that the extents of data take on a btrfs, compressed as they are: to the byte. */
export async function btrfsDataBytes(directory: string): Promise<number> {
  // Extents that were let go of are given back with the commit of the next transaction.
  await runTool('btrfs', ['filesystem', 'sync', directory])
  await runTool('btrfs', ['filesystem', 'sync', directory])
  return Number(await readFile(`/sys/fs/btrfs/${await ofMount('UUID', directory)}/allocation/data/bytes_used`, 'utf8'))
}

/** Lengths of the extents of all files on a btrfs: what it frees only as a whole. */
export async function btrfsExtents(directory: string): Promise<number[]> {
  const device = await ofMount('SOURCE', directory)
  const { stdout } = await runTool('btrfs', ['inspect-internal', 'dump-tree', '-t', 'fs', device])
  return [...stdout.toString().matchAll(/extent data disk byte \d+ nr (\d+)/g)].map((match) => Number(match[1]))
}

async function ofMount(column: string, directory: string): Promise<string> {
  return (await runTool('findmnt', ['-no', column, directory])).stdout.toString().trim()
}
