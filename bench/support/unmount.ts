import { setTimeout as sleep } from 'node:timers/promises'
import { runCommand } from './run-command.ts'

/** A program that has ended may still be reading, and the kernel lets go of a loop device's file some time after the device was detached. */
export async function unmount(directory: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return void (await runCommand('umount', [directory]))
    } catch (error) {
      if (tries === 500) throw error
      await sleep(20)
    }
  }
}
