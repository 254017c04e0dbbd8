import { z } from 'zod'

/** A path in a guest: absolute. */
export const GuestPath = z
  .string()
  .max(4096)
  .regex(/^\/[^\0]*$/, 'must be an absolute path')

export const GuestFile = z.object({
  /** With U+FFFD for each byte that is not UTF-8: such a path cannot be asked for. */
  path: z.string(),
  type: z.enum(['file', 'directory', 'symlink', 'character', 'block', 'fifo', 'socket']),
  /** Permission bits with setuid, setgid and sticky, without the type: 0o755. */
  mode: z.int(),
  uid: z.int(),
  gid: z.int(),
  size_bytes: z.int(),
  mtime_ms: z.number(),
  /** Of a symbolic link; absent in the listing of a directory. */
  target: z.string().optional(),
})
export type GuestFile = z.infer<typeof GuestFile>

export const GuestDirectory = z.object({ entries: z.array(GuestFile) })
export type GuestDirectory = z.infer<typeof GuestDirectory>

const mode = z.coerce.number().int().min(0).max(0o7777)
const owner = z.coerce.number().int().min(0).max(0xfffffffe).optional()

export const GuestPathQuery = z.strictObject({ path: GuestPath })

export const StatGuestFileQuery = z.strictObject({
  path: GuestPath,
  /** Whether a symbolic link stands for what it points at. */
  follow: z.stringbool().default(false),
})

export const WriteGuestFileQuery = z.strictObject({
  path: GuestPath,
  mode: mode.default(0o644),
  mtime_ms: z.coerce.number().min(0).optional(),
  uid: owner,
  gid: owner,
})

export const RemoveGuestFileQuery = z.strictObject({ path: GuestPath, recursive: z.stringbool().default(false) })

export const MakeGuestFileRequest = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('directory'), path: GuestPath, mode: z.int().min(0).max(0o7777).default(0o755) }),
  z.strictObject({ type: z.literal('symlink'), path: GuestPath, target: z.string().min(1).max(4095) }),
])
export type MakeGuestFileRequest = z.infer<typeof MakeGuestFileRequest>
