/**
 * formats/cpio: the archive that the kernel unpacks as its first root filesystem.
 *
 * Belongs here: writing the newc form.
 * Promises: same entries, same bytes; what the kernel would silently leave out is refused.
 * Never: reads a file, compresses.
 */
export { type CpioEntry, writeNewc } from './write-newc.ts'
