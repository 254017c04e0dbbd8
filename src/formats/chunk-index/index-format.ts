/**
 * The chunk index as bytes; docs/published-images.md describes it for others.
 *
 *     header   "CSCHUNKS", u32 version
 *     lower    writerVersion, profile (string), leafBytes
 *     parts    their number, then each: the 32 bytes of its sha256, the number of its chunks, each chunk: 4 KiB blocks, stored bytes
 *     leaves   32 bytes for each leaf, to the end
 *
 * Numbers are LEB128; strings are the number of their bytes and the bytes. There is no checksum: an index is only ever read after its digest
 * was verified.
 */
export const indexMagic = Buffer.from('CSCHUNKS', 'latin1')
/** Raised with every change; a reader takes the versions that it knows. */
export const indexVersion = 1
