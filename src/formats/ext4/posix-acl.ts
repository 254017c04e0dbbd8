/** Version of the values that getxattr(2) and archives have, and of the shorter ones that ext4 has on disk. */
const apiVersion = 2
const diskVersion = 1
/** Only these have an id on disk. */
const [namedUser, namedGroup] = [0x02, 0x08]

/**
 * A POSIX ACL as ext4 keeps it, from the value of its xattr.
 *
 * @returns undefined when the value is no ACL
 * @see the kernel's include/uapi/linux/posix_acl_xattr.h and fs/ext4/acl.h
 */
export function aclOnDisk(value: Buffer): Buffer | undefined {
  if (value.length < 4 || value.length % 8 !== 4 || value.readUInt32LE(0) !== apiVersion) return undefined
  const head = Buffer.alloc(4)
  head.writeUInt32LE(diskVersion)
  const entries = Array.from({ length: (value.length - 4) / 8 }, (_, index) => {
    const entry = value.subarray(4 + 8 * index, 12 + 8 * index)
    const tag = entry.readUInt16LE(0)
    return tag === namedUser || tag === namedGroup ? entry : entry.subarray(0, 4)
  })
  return Buffer.concat([head, ...entries])
}
