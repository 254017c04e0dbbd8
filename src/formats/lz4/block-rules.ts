/** No match is shorter: its length is stored less this. */
export const minMatch = 4
/** A block ends with so many literals at least, and its last match starts so far before its end: decoders copy in wide strides. */
export const lastLiterals = 5
export const matchFreeEnd = 12
/** Offsets are 16 bits, and 0 is none. */
export const maxOffset = 65535
/** What four bits hold before the rest of a length goes on in bytes of its own. */
export const tokenMax = 15
