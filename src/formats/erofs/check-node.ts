import { invalidTree } from './invalid.ts'
import type { ByteName, TreeNode, Xattr } from './tree.ts'
import { maxXattrAreaBytes, xattrAreaBytes } from './xattr-area.ts'

const maxNameBytes = 255
/** PATH_MAX without its NUL: Linux makes no longer symlink. */
const maxTargetBytes = 4095

/** @throws Problem EROFS_INVALID when a directory of Linux cannot hold this name */
export function checkName(name: ByteName, path: () => ByteName): void {
  const why = nameComplaint(name)
  if (why !== undefined) throw invalidTree(path(), why)
}

/** Why a directory of Linux cannot hold a name. */
export function nameComplaint(name: ByteName): string | undefined {
  if (name === '' || name === '.' || name === '..') return `${JSON.stringify(name)} is not a file name`
  if (name.length > maxNameBytes) return `a name of ${name.length} bytes is longer than ${maxNameBytes}`
  if (/[/\0]/.test(name)) return 'a name holds a slash or a NUL'
  if (!isBytes(name)) return 'a name is not a byte string'
  return undefined
}

/** @throws Problem EROFS_INVALID when an attribute does not fit the fields that erofs has for it */
export function checkNode(node: TreeNode, path: () => ByteName): void {
  const why = nodeComplaint(node)
  if (why !== undefined) throw invalidTree(path(), why)
}

/** Why an inode of Linux cannot be like this; its xattrs aside. */
export function nodeComplaint(node: TreeNode): string | undefined {
  return attributeComplaint(node) ?? kindComplaint(node)
}

function attributeComplaint({ mode, uid, gid, mtimeSeconds, mtimeNanoseconds }: TreeNode): string | undefined {
  if (!isUint(mode, 0o7777)) return `mode ${mode} is more than permission bits`
  if (!isUint(uid, 0xffffffff) || !isUint(gid, 0xffffffff)) return `owner ${uid}:${gid} is out of range`
  if (!Number.isSafeInteger(mtimeSeconds) || !isUint(mtimeNanoseconds, 999_999_999)) {
    return `modification time ${mtimeSeconds} s ${mtimeNanoseconds} ns is out of range`
  }
  return undefined
}

function kindComplaint(node: TreeNode): string | undefined {
  switch (node.kind) {
    case 'file':
      return fileComplaint(node)
    case 'symlink':
      return targetComplaint(node.target)
    case 'char':
    case 'block':
      return isUint(node.major, 0xfff) && isUint(node.minor, 0xfffff)
        ? undefined
        : `device ${node.major}:${node.minor} is out of range`
    default:
      return undefined
  }
}

function fileComplaint({ size, data }: Extract<TreeNode, { kind: 'file' }>): string | undefined {
  if (!isUint(size, Number.MAX_SAFE_INTEGER)) return `a size of ${size} bytes is out of range`
  if (data.kind === 'inline' && data.bytes.length !== size)
    return `its size is ${size} but it has ${data.bytes.length} bytes`
  return undefined
}

function targetComplaint(target: Buffer): string | undefined {
  if (target.length === 0) return 'a symbolic link without a target'
  if (target.length > maxTargetBytes) return `a link target of ${target.length} bytes is longer than ${maxTargetBytes}`
  return target.includes(0) ? 'a link target holds a NUL' : undefined
}

/** @throws Problem EROFS_INVALID when these xattrs, sorted by name, do not fit an inode */
export function checkXattrs(xattrs: readonly Xattr[], path: () => ByteName): void {
  const why = xattrs.map(xattrComplaint).find((complaint) => complaint !== undefined) ?? setComplaint(xattrs)
  if (why !== undefined) throw invalidTree(path(), why)
}

function xattrComplaint({ name, value }: Xattr): string | undefined {
  if (name.length > maxNameBytes) return `an xattr name of ${name.length} bytes is longer than ${maxNameBytes}`
  if (name.includes('\0') || !isBytes(name)) return 'an xattr name holds a NUL or is not a byte string'
  if (value.length > 0xffff) return `an xattr value of ${value.length} bytes is longer than 65535`
  return undefined
}

function setComplaint(xattrs: readonly Xattr[]): string | undefined {
  if (xattrs.some(({ name }, index) => name === xattrs[index - 1]?.name)) return 'two xattrs have one name'
  const bytes = xattrAreaBytes(xattrs)
  return bytes > maxXattrAreaBytes ? `its xattrs take ${bytes} bytes, more than ${maxXattrAreaBytes}` : undefined
}

function isUint(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}

function isBytes(text: ByteName): boolean {
  return !/[^\0-\xff]/.test(text)
}
