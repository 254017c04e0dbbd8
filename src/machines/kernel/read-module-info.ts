import { Problem } from '../../base/index.ts'

/** What a kernel module says of itself. */
export interface ModuleInfo {
  /** With `_` for every `-`, as the kernel compares names. */
  readonly name: string
  /** The modules whose symbols it uses. */
  readonly depends: readonly string[]
  /** Modules to load before it if they are there: `softdep=pre: …`. */
  readonly before: readonly string[]
  /** `6.1.0-56-cloud-amd64 SMP preempt mod_unload …`: the first word is the release. */
  readonly vermagic: string
}

/**
 * Reads the `.modinfo` section of a module: NUL-separated `key=value` strings in a little-endian ELF64 object.
 *
 * @throws Problem KERNEL_INVALID
 * @see elf(5); Linux, scripts/mod/modpost.c, add_depends
 */
export function readModuleInfo(module: Buffer, path: string): ModuleInfo {
  const values = new Map<string, string[]>()
  for (const string of modinfoSection(module, path).toString('latin1').split('\0')) {
    const equals = string.indexOf('=')
    if (equals > 0) {
      const key = string.slice(0, equals)
      values.set(key, [...(values.get(key) ?? []), string.slice(equals + 1)])
    }
  }
  const name = values.get('name')?.[0]
  if (name === undefined) throw invalid(path, 'it has no name')
  return {
    name: moduleName(name),
    depends: words(values.get('depends')?.[0], /,/),
    before: words(/pre:([^:]*)(?: post:|$)/.exec(values.get('softdep')?.[0] ?? '')?.[1], /\s+/),
    vermagic: values.get('vermagic')?.[0] ?? '',
  }
}

/** A module's name as the kernel knows it, from its name or its file: `virtio-rng.ko.xz` is `virtio_rng`. */
export function moduleName(text: string): string {
  return text.replace(/\.ko(\.(xz|gz|zst))?$/, '').replaceAll('-', '_')
}

function words(text: string | undefined, separator: RegExp): string[] {
  return (text ?? '')
    .split(separator)
    .filter((word) => word !== '')
    .map(moduleName)
}

function modinfoSection(module: Buffer, path: string): Buffer {
  const isElf64 = module.length >= 64 && module.readUInt32BE(0) === 0x7f454c46 && module[4] === 2 && module[5] === 1
  if (!isElf64) throw invalid(path, 'it is not a little-endian ELF64 object')
  const table = Number(module.readBigUInt64LE(0x28))
  const [entrySize, count, namesIndex] = [0x3a, 0x3c, 0x3e].map((at) => module.readUInt16LE(at)) as [
    number,
    number,
    number,
  ]
  if (entrySize !== 64 || table + count * 64 > module.length || namesIndex >= count) {
    throw invalid(path, 'its section table is damaged')
  }
  const section = (index: number) => {
    const header = module.subarray(table + index * 64, table + index * 64 + 64)
    const [offset, size] = [0x18, 0x20].map((at) => Number(header.readBigUInt64LE(at))) as [number, number]
    return { name: header.readUInt32LE(0), bytes: module.subarray(offset, offset + size) }
  }
  const names = section(namesIndex).bytes
  for (let index = 0; index < count; index++) {
    const { name, bytes } = section(index)
    const end = names.indexOf(0, name)
    if (names.toString('latin1', name, end) === '.modinfo') return bytes
  }
  throw invalid(path, 'it has no .modinfo section')
}

function invalid(path: string, why: string): Problem {
  return new Problem('KERNEL_INVALID', `not a kernel module: ${path}: ${why}`)
}
