/**
 * The layer index as bytes. All of it follows from the layer alone, so it is the same on every host.
 *
 *     header    "CSLAYER\0", u32 version
 *     records   one for each entry, in the order of the archive
 *     footer    dataBlocks, entryCount, number of warnings, each warning, the diff_id, then u32 length of the footer up to here
 *     checksum  sha256 of everything before it
 *
 * Numbers are LEB128; strings are the number of their bytes and the bytes. A record: type (u8), path (string), mode, uid, gid, mtime
 * seconds (1 when negative, else 0; magnitude), nanoseconds, number of xattrs, each xattr (name, value); then by type: for a file its size, then
 * 0 and its bytes or 1, start block and the sha256's 32 bytes; for a link its target; for a device major and minor.
 */
export const indexMagic = Buffer.from('CSLAYER\0', 'latin1')
/** Raised with every change of the records; an index of another version is rebuilt from its layer. */
export const indexVersion = 1
export const headerBytes = indexMagic.length + 4
export const checksumBytes = 32

/** The position of a type is its number in a record. */
export const entryTypes = ['file', 'hardlink', 'symlink', 'char', 'block', 'directory', 'fifo'] as const
