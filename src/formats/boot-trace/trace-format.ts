/**
 * A boot trace as bytes; docs/published-images.md describes it for others.
 *
 *     header   "CSBTRACE", u32 version
 *     lower    the 32 bytes of the sha256 of its chunk index
 *     boots    how many it is made of
 *     runs     their number, then each: where it begins, from the end of the one before it on (signed), and how many leaves it has
 *
 * Numbers are LEB128; a signed one is 1 for a negative and 0 for any other, then the magnitude.
 */
export const traceMagic = Buffer.from('CSBTRACE', 'latin1')
/** Raised with every change; a reader takes the versions that it knows. */
export const traceVersion = 1
export const digestBytes = 32
