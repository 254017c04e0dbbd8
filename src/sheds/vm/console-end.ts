import { open } from 'node:fs/promises'

/** What a kernel prints last when it was told to power off or to restart (kernel/reboot.c). */
const goodbye = /reboot: (Power down|System halted|Restarting system)\s*$/

/** Whether the console ends with the kernel's own goodbye: then nobody pulled the plug. */
export async function consoleSaysPowerDown(path: string): Promise<boolean> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const start = Math.max(0, size - 256)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start)
    return goodbye.test(buffer.toString('latin1', 0, bytesRead))
  } catch {
    // No console: nothing is known, which is not a goodbye.
    return false
  }
}
