import { alignUp } from './integers.ts'
import type { ByteName, Xattr } from './tree.ts'

/** Header of an inode's xattr area: name filter, number of shared xattrs, reserved bytes. */
export const xattrHeaderBytes = 12
export const xattrEntryBytes = 4
/** i_xattr_icount is 16 bits and counts in units of 4 bytes. */
export const maxXattrAreaBytes = xattrHeaderBytes + (0xffff - 1) * 4

/** Namespaces by their number on disk. The two ACL names are whole: nothing follows them. */
export const xattrPrefixes: readonly { readonly index: number; readonly prefix: string; readonly whole?: true }[] = [
  { index: 1, prefix: 'user.' },
  { index: 2, prefix: 'system.posix_acl_access', whole: true },
  { index: 3, prefix: 'system.posix_acl_default', whole: true },
  { index: 4, prefix: 'trusted.' },
  { index: 6, prefix: 'security.' },
]

export interface SplitName {
  readonly index: number
  readonly suffix: ByteName
}

/** Namespace number and rest of a name; undefined when erofs has no number for its namespace. */
export function splitXattrName(name: ByteName): SplitName | undefined {
  for (const { index, prefix, whole } of xattrPrefixes) {
    if (whole ? name === prefix : name.startsWith(prefix) && name.length > prefix.length) {
      return { index, suffix: name.slice(prefix.length) }
    }
  }
  return undefined
}

/** Whether erofs can store an xattr of this name: those of `user.`, `trusted.`, `security.` and the two POSIX ACLs. */
export function isStorableXattr(name: ByteName): boolean {
  return splitXattrName(name) !== undefined
}

/** Bytes of the area that holds these xattrs: 0 for none, because an area of a bare header is an error to the kernel. */
export function xattrAreaBytes(xattrs: readonly Xattr[]): number {
  if (xattrs.length === 0) return 0
  return xattrs.reduce((sum, xattr) => sum + entryBytes(xattr), xattrHeaderBytes)
}

/** i_xattr_icount of an area of so many bytes. */
export function xattrCountOf(areaBytes: number): number {
  return areaBytes === 0 ? 0 : (areaBytes - xattrHeaderBytes) / 4 + 1
}

/** Writes the area at `offset`, in the order given. Every name must be storable; the bytes there must be zero already. */
export function encodeXattrArea(out: Buffer, offset: number, xattrs: readonly Xattr[]): void {
  let at = offset + xattrHeaderBytes
  for (const xattr of xattrs) {
    const { index, suffix } = splitXattrName(xattr.name) ?? { index: 0, suffix: xattr.name }
    out.writeUInt8(suffix.length, at)
    out.writeUInt8(index, at + 1)
    out.writeUInt16LE(xattr.value.length, at + 2)
    out.write(suffix, at + xattrEntryBytes, 'latin1')
    xattr.value.copy(out, at + xattrEntryBytes + suffix.length)
    at += entryBytes(xattr)
  }
}

function entryBytes({ name, value }: Xattr): number {
  const suffix = splitXattrName(name)?.suffix ?? name
  return alignUp(xattrEntryBytes + suffix.length + value.length, 4)
}
