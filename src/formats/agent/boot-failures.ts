import { printable } from '../../base/index.ts'

/** Every number that a failed boot can show on the console: the list of guest/src/boot-failures.h; a test compares the two. */
export const bootFailures = {
  1: 'cannot mount /proc, /sys or /dev',
  2: "no drive with the serial 'lower'",
  3: 'cannot mount the lower (erofs)',
  4: "no drive with the serial 'upper'",
  5: 'the upper is not ext4',
  6: 'cannot mount the upper (ext4)',
  7: 'cannot mount the overlay',
  8: 'cannot mount what belongs inside the root',
  9: 'cannot switch to the root',
  10: "no virtio-serial port named 'cowshed.agent'",
  11: 'no valid cowshed.key on the kernel command line',
  12: "cannot run the image's /sbin/init",
  13: "no drive with the serial 'rootfs'",
  14: 'the root filesystem is not ext4',
  15: 'cannot mount the root filesystem (ext4)',
  16: 'no drive for a part of the lower',
} as const satisfies Record<number, string>

export interface BootFailure {
  readonly number: keyof typeof bootFailures
  /** What the console said, made safe to show: "cannot mount the lower (erofs): Invalid argument". */
  readonly text: string
}

/**
 * Finds the last numbered boot failure in a console log.
 *
 * The console belongs to the guest: a program in it may print such a line too, so this explains a boot that is known to have failed; it
 * does not prove that one has.
 */
export function findBootFailure(consoleText: string): BootFailure | undefined {
  const lines = [...consoleText.matchAll(/^cowshed: boot failure (\d{1,3}): ([^\r\n]{1,500})/gm)]
  const [, digits, text] = lines.at(-1) ?? []
  const number = Number(digits)
  return text !== undefined && isKnown(number) ? { number, text: printable(text) } : undefined
}

function isKnown(number: number): number is keyof typeof bootFailures {
  return number in bootFailures
}
