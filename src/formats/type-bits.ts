/** Type bits of a mode, as in stat(2): every format here has them. */
export const typeBits = {
  fifo: 0o010000,
  char: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const
export type Kind = keyof typeof typeBits
export const typeMask = 0o170000
