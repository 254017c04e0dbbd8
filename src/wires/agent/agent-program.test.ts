import { execFile } from 'node:child_process'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'

const guest = join(import.meta.dirname, '../../../guest')

describe.runIf(needs({ tools: ['make', 'musl-gcc'] }))('the program of the guest', () => {
  // The initrd, and with it the id of a kernel, is named after these bytes.
  test('is the same wherever it is built, and needs nothing of the image it runs in', async () => {
    await using one = await temporaryDirectory()
    await using other = await temporaryDirectory()
    const [first, second] = await Promise.all([build(one.path), build(join(other.path, 'deeper/down'))])
    expect(first.equals(second)).toBe(true)
    expect(first.includes('cowshed-test-')).toBe(false)
    expect(programHeaderTypes(first)).not.toContain(programInterpreter)
    expect(first.length).toBeLessThan(200_000)
  })
})

async function build(directory: string): Promise<Buffer> {
  await cp(guest, directory, { recursive: true, filter: (path) => !path.endsWith('/build') })
  await promisify(execFile)('make', ['-s', '-C', directory])
  return await readFile(join(directory, 'build/cowshed-agent'))
}

/** PT_INTERP of elf(5): the dynamic loader, which a static program does without. */
const programInterpreter = 3

/** Of a 64-bit little-endian ELF file. */
function programHeaderTypes(elf: Buffer): number[] {
  const offset = Number(elf.readBigUInt64LE(32))
  const size = elf.readUInt16LE(54)
  return Array.from({ length: elf.readUInt16LE(56) }, (_, i) => elf.readUInt32LE(offset + i * size))
}
