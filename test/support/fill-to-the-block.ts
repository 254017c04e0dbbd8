import { open, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoCode } from '../../src/base/index.ts'
import { runTool } from '../../src/host/index.ts'

/** Takes all of an ext4 but so many bytes, whole blocks of it, with a file. Writes next to nothing, however large it is. */
export async function fillToTheBlock(path: string, leave: number): Promise<void> {
  const { bsize, bavail } = await statfs(dirname(path))
  // The last blocks one by one: how many the filesystem takes for itself it does not say.
  await runTool('fallocate', ['-l', `${bsize * (bavail - 128)}`, path])
  await using file = await open(path, 'a')
  try {
    for (;;) await file.write(Buffer.alloc(bsize, 1))
  } catch (error) {
    if (errnoCode(error) !== 'ENOSPC') throw error
  }
  await file.sync()
  await file.truncate((await file.stat()).size - leave)
  await file.sync()
}
