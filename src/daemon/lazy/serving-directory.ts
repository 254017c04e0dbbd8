import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestHex, problemFromSystem } from '../../base/index.ts'

/** Where those who serve a lower have what they need at run time, and leave what they say of themselves: below the run directory. */
export function servingDirectory(runDirectory: string, chunkIndex: Digest): string {
  return join(runDirectory, `lazy-${digestHex(chunkIndex).slice(0, 12)}`)
}

/** Makes it. QEMU is lent it; it may not put anything there, for others read from there too. @throws Problem PERMISSION_DENIED, NO_SPACE, IO_FAILED */
export async function makeServingDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
    await chmod(directory, 0o711)
  } catch (error) {
    throw problemFromSystem(error, `make ${directory}`)
  }
}
