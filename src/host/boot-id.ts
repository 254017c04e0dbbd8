import { readFileSync } from 'node:fs'
import { problemFromSystem } from '../base/index.ts'
import { linuxOnly } from './libc.ts'

/**
 * The id of this boot of the host: what was recorded under another one is about processes that no longer are.
 *
 * @throws Problem HOST_UNSUPPORTED, IO_FAILED
 * @see random(4), /proc/sys/kernel/random/boot_id
 */
export function bootId(): string {
  linuxOnly('the boot id')
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch (error) {
    throw problemFromSystem(error, 'read the boot id')
  }
}
