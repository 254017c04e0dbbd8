import { execFileSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { isProblem } from '../../base/index.ts'
import { type CpioEntry, writeNewc } from './write-newc.ts'

const example: readonly CpioEntry[] = [
  { path: 'init', mode: 0o100755, data: Buffer.from('#!/bin/sh\n') },
  { path: 'dev', mode: 0o040755 },
  { path: 'dev/console', mode: 0o020600, major: 5, minor: 1 },
  { path: 'dev/loop0', mode: 0o060660, gid: 6, major: 7, minor: 0 },
  { path: 'fifo', mode: 0o010644 },
  { path: 'link', mode: 0o120777, data: Buffer.from('dev/console') },
  { path: 'modules', mode: 0o041777, uid: 3, gid: 4 },
  { path: 'modules/größe', mode: 0o100644, data: Buffer.alloc(5000, 7) },
  { path: 'empty', mode: 0o104711, data: Buffer.alloc(0) },
]

test('every field is at its place', () => {
  const archive = writeNewc([{ path: 'ab', mode: 0o100644, uid: 1, gid: 2, data: Buffer.from('xyz') }])

  const header =
    '070701 00000001 000081A4 00000001 00000002 00000001 00000000 00000003 00000000 00000000 00000000 00000000 00000003 00000000'
  expect(archive.toString('latin1', 0, 110)).toBe(header.replaceAll(' ', ''))
  // 110 + `ab` and its NUL = 113, up to 116; three bytes of data, up to 120.
  expect(archive.toString('latin1', 110, 120)).toBe('ab\0\0\0\0xyz\0')
  expect(archive.toString('latin1', 120, 126)).toBe('070701')
  expect(archive.toString('latin1', 230, 240)).toBe('TRAILER!!!')
  expect(archive.length).toBe(512)
})

test('the same entries give the same bytes', () => {
  expect(writeNewc(example)).toEqual(
    writeNewc(structuredClone(example).map((entry) => ({ ...entry, ...bytesAgain(entry) }))),
  )
})

/** structuredClone makes Uint8Arrays of Buffers. */
function bytesAgain({ data }: CpioEntry): Partial<CpioEntry> {
  return data === undefined ? {} : { data: Buffer.from(data) }
}

test.runIf(needs({ root: true, tools: ['cpio'] }))('cpio makes of an archive what its entries say', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cowshed-cpio-'))
  try {
    execFileSync('cpio', ['-idm', '--quiet'], { cwd: directory, input: writeNewc(example), timeout: 30_000 })
    for (const entry of example) expectOnDisk(join(directory, entry.path.toString()), entry)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

function expectOnDisk(path: string, { mode, uid = 0, gid = 0, major = 0, minor = 0, data }: CpioEntry): void {
  const stat = lstatSync(path)
  expect([path, stat.mode, stat.uid, stat.gid]).toEqual([path, mode, uid, gid])
  // A directory's time is that of the last thing put into it, and cpio leaves a symlink's alone.
  if (!stat.isDirectory() && !stat.isSymbolicLink()) expect(stat.mtimeMs).toBe(0)
  if (major > 0) expect(stat.rdev).toBe(major * 256 + minor)
  if (stat.isFile()) expect(readFileSync(path)).toEqual(data)
  if (stat.isSymbolicLink()) expect(readlinkSync(path)).toBe(data?.toString())
}

test.runIf(needs({ tools: ['cpio'] }))('cpio lists the entries in their order', () => {
  const listed = execFileSync('cpio', ['-it', '--quiet'], { input: writeNewc(example), timeout: 30_000 })
  expect(listed.toString().trimEnd().split('\n')).toEqual(example.map(({ path }) => path.toString()))
})

const bytes = (constraints: fc.IntArrayConstraints) => fc.uint8Array(constraints).map((array) => Buffer.from(array))
const name = bytes({ minLength: 1, maxLength: 12 })
  .map((value) => Buffer.from(value.map((byte) => (byte === 0 || byte === 0x2f || byte === 0x2e ? 0x78 : byte))))
  .filter((value) => value.toString() !== 'TRAILER!!!')
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const entries = fc.uniqueArray(
  fc.oneof(
    fc.record({
      path: name,
      mode: fc.constantFrom(0o100644, 0o104755),
      uid: u32,
      gid: u32,
      data: bytes({ maxLength: 40 }),
    }),
    fc.record({ path: name, mode: fc.constantFrom(0o120777), data: bytes({ minLength: 1, maxLength: 20 }) }),
    fc.record({ path: name, mode: fc.constantFrom(0o020600, 0o060600), major: u32, minor: u32 }),
    fc.record({ path: name, mode: fc.constantFrom(0o040755, 0o010644, 0o140644), uid: u32 }),
  ),
  { selector: ({ path }) => path.toString('latin1'), maxLength: 8 },
)

test('a reader that knows only the specification gets the entries back', () => {
  fc.assert(
    fc.property(entries, (list: readonly CpioEntry[]) => {
      const archive = writeNewc(list)
      const complete = list.map((entry, i) => ({
        uid: 0,
        gid: 0,
        major: 0,
        minor: 0,
        data: Buffer.alloc(0),
        ...entry,
        ino: i + 1,
      }))
      expect(parseNewc(archive)).toEqual(complete)
      expect(archive.length % 512).toBe(0)
    }),
  )
})

function parseNewc(archive: Buffer) {
  const found = []
  for (let at = 0; ; ) {
    expect(at % 4).toBe(0)
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16)
    expect(archive.toString('latin1', at, at + 6)).toBe('070701')
    const path = archive.subarray(at + 110, at + 110 + field(11) - 1)
    const start = align4(at + 110 + field(11))
    if (path.toString() === 'TRAILER!!!') return found
    const [ino, mode, uid, gid] = [field(0), field(1), field(2), field(3)]
    const data = archive.subarray(start, start + field(6))
    expect(field(4)).toBe((mode & 0o170000) === 0o040000 ? 2 : 1)
    found.push({
      path: Buffer.from(path),
      mode,
      uid,
      gid,
      major: field(9),
      minor: field(10),
      data: Buffer.from(data),
      ino,
    })
    at = align4(start + data.length)
  }
}

const align4 = (offset: number) => Math.ceil(offset / 4) * 4

const file = { mode: 0o100644, data: Buffer.from('x') }
test.each<[string, readonly CpioEntry[]]>([
  ['a missing directory, which the kernel would pass over without a word', [{ path: 'modules/x.ko', ...file }]],
  [
    'a file for a directory',
    [
      { path: 'a', ...file },
      { path: 'a/b', ...file },
    ],
  ],
  [
    'a directory after what is in it',
    [
      { path: 'a/b', ...file },
      { path: 'a', mode: 0o040755 },
    ],
  ],
  [
    'an entry twice',
    [
      { path: 'a', ...file },
      { path: 'a', ...file },
    ],
  ],
  ['an absolute name', [{ path: '/init', ...file }]],
  ['a slash at the end', [{ path: 'dev/', mode: 0o040755 }]],
  ['an empty name', [{ path: '', ...file }]],
  ['..', [{ path: '../init', ...file }]],
  ['a NUL in a name', [{ path: 'a\0b', ...file }]],
  ['a name that is too long', [{ path: 'a'.repeat(4096), ...file }]],
  ['the name that ends an archive', [{ path: 'TRAILER!!!', ...file }]],
  ['a mode without type', [{ path: 'a', mode: 0o644 }]],
  ['a type that there is not', [{ path: 'a', mode: 0o170644 }]],
  ['a directory with data', [{ path: 'a', mode: 0o040755, data: Buffer.from('x') }]],
  ['a symlink without target', [{ path: 'a', mode: 0o120777 }]],
  ['a uid of more than 32 bits', [{ path: 'a', ...file, uid: 2 ** 32 }]],
  ['a negative uid', [{ path: 'a', ...file, uid: -1 }]],
])('%s is refused', (_, list) => {
  expect(() => writeNewc(list)).toThrow(expect.toSatisfy((error: unknown) => isProblem(error, 'CPIO_INVALID')))
})
