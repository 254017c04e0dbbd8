import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** The first bytes of an x86 bzImage of a release: enough for everything but booting. */
export function bzImage(release: string): Buffer {
  const image = Buffer.alloc(4096)
  image.write('HdrS', 0x202, 'latin1')
  image.writeUInt16LE(0x600, 0x20e)
  image.write(`${release} (someone@somewhere) #1 SMP\0`, 0x800, 'latin1')
  return image
}

/** An ELF64 object with a .modinfo section of these strings. */
export function moduleObject(strings: readonly string[]): Buffer {
  const names = Buffer.from('\0.shstrtab\0.modinfo\0')
  const info = Buffer.from(strings.map((string) => `${string}\0`).join(''))
  const header = Buffer.alloc(64)
  header.writeUInt32BE(0x7f454c46, 0)
  header[4] = 2
  header[5] = 1
  header.writeBigUInt64LE(BigInt(64 + names.length + info.length), 0x28)
  for (const [value, at] of [
    [64, 0x3a],
    [3, 0x3c],
    [1, 0x3e],
  ] as const)
    header.writeUInt16LE(value, at)
  const sections = [
    sectionHeader(0, 0, 0),
    sectionHeader(1, 64, names.length),
    sectionHeader(11, 64 + names.length, info.length),
  ]
  return Buffer.concat([header, names, info, ...sections])
}

function sectionHeader(name: number, offset: number, size: number): Buffer {
  const header = Buffer.alloc(64)
  header.writeUInt32LE(name, 0)
  header.writeBigUInt64LE(BigInt(offset), 0x18)
  header.writeBigUInt64LE(BigInt(size), 0x20)
  return header
}

export interface TinyModule {
  readonly path: string
  readonly depends?: string
  readonly softdep?: string
  readonly release?: string
}

/** Writes a /lib/modules/<release> directory. */
export async function writeModules(
  directory: string,
  modules: readonly TinyModule[],
  builtin: readonly string[] = [],
): Promise<string> {
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'modules.builtin'), builtin.map((name) => `kernel/${name}.ko\n`).join(''))
  for (const { path, depends = '', softdep, release = '6.1.0-tiny' } of modules) {
    const name = path.replace(/^.*\//, '').replace('.ko', '').replaceAll('-', '_')
    const strings = [`name=${name}`, `depends=${depends}`, `vermagic=${release} SMP mod_unload`]
    if (softdep !== undefined) strings.push(`softdep=${softdep}`)
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), moduleObject(strings))
  }
  return directory
}
