import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { heldBytes } from '../../../test/support/garbage.ts'
import { type ReadTarOptions, readTar } from '../../../test/support/read-tar.ts'
import { buildTar, type TarPiece } from '../../../test/support/tar-builder.ts'
import { isProblem } from '../../base/index.ts'
import type { TarHandler } from './tar-entry.ts'
import { TarReader } from './tar-reader.ts'

/** Small, so that a hole that a mutation made large is not really made. */
const limits = { maxExpandedBytes: 1 << 20, maxEntries: 1000 }

/** What came of it: the members and warnings, or the problem; anything else that is thrown fails the test. */
function outcome(archive: Buffer, options: ReadTarOptions = {}): unknown {
  try {
    const { members, warnings } = readTar(archive, { limits, ...options })
    return {
      warnings,
      members: members.map(({ entry, content }) => ({ ...entry, content: content.toString('latin1') })),
    }
  } catch (error) {
    if (isProblem(error, 'TAR_INVALID') || isProblem(error, 'LIMIT_EXCEEDED')) return `${error.code} ${error.message}`
    throw error
  }
}

const chunkings = fc.array(fc.integer({ min: 1, max: 1024 }), { minLength: 1, maxLength: 4 })

test('any bytes give members or a problem, the same however they are cut', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), chunkings, (array, chunks) => {
      const bytes = Buffer.from(array)
      expect(outcome(bytes, { chunks })).toEqual(outcome(bytes))
    }),
  )
})

const sparse = { realSize: 5000, segments: [0, 1, 2, 3, 4, 5].map((i) => ({ offset: i * 600, bytes: 'sparse' })) }
const pieces: readonly TarPiece[] = [
  { path: 'd', type: 'directory' },
  { path: 'd/f', content: 'content'.repeat(100), xattrs: { 'user.a': Buffer.from([0, 10]) }, mtime: -1.5 },
  { paxGlobal: [['uid', '77']] },
  { path: 'n'.repeat(200), content: 'x', format: 'gnu', uid: 3_000_000_000 },
  { path: 'l', type: 'symlink', linkTarget: 't'.repeat(200) },
  { path: 'h', type: 'hardlink', linkTarget: 'd/f', content: 'body' },
  { path: 's', sparse: { form: 'gnu', ...sparse } },
  { path: 's', sparse: { form: '0.0', ...sparse } },
  { path: 's', sparse: { form: '0.1', ...sparse } },
  { path: 's', sparse: { form: '1.0', ...sparse } },
  { path: 'c', type: 'char', major: 5, minor: 1, format: 'ustar' },
  { path: 'v7', content: 'v7', format: 'v7' },
  { path: 'f', pax: [['LIBARCHIVE.xattr.user.b', 'YQ==']] },
]

/** A byte that is set, anywhere; mostly to something that means something in a header. */
const change = fc.record({
  at: fc.nat(),
  byte: fc.oneof(fc.constantFrom(...Buffer.from('\0 /0123456789=\n\xffxgLKS', 'latin1')), fc.nat({ max: 255 })),
})

const mutated = fc
  .record({
    chosen: fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 4 }),
    changes: fc.array(change, { minLength: 1, maxLength: 6 }),
    repaired: fc.boolean(),
    cutTo: fc.option(fc.nat()),
  })
  .map(({ chosen, changes, repaired, cutTo }) => {
    const archive = buildTar(chosen)
    for (const { at, byte } of changes) archive[at % archive.length] = byte
    if (repaired) repairChecksums(archive)
    return cutTo === null ? archive : archive.subarray(0, cutTo % archive.length)
  })

/** Without this, nearly every change would only show that checksums are looked at. */
function repairChecksums(archive: Buffer): void {
  for (let at = 0; at < archive.length; at += 512) {
    const block = archive.subarray(at, at + 512)
    // Headers are known by the end of their checksum, which v7 has too.
    if (block.toString('latin1', 154, 156) !== '\0 ') continue
    block.write('        ', 148)
    const sum = block.reduce((total, byte) => total + byte, 0)
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  }
}

test('a mutated archive gives members or a problem, the same however it is cut', () => {
  fc.assert(
    fc.property(mutated, chunkings, (archive, chunks) => {
      expect(outcome(archive, { chunks })).toEqual(outcome(archive))
    }),
    { numRuns: 1000 },
  )
})

describe('bounded memory', () => {
  const quiet: TarHandler = {
    entry: () => undefined,
    data: () => undefined,
    hole: () => undefined,
    entryEnd: () => undefined,
  }

  /** Pushes the block again and again, and gives the problem that ends it, and how much had been taken. */
  function pushForEver(first: Buffer, block: Buffer): { problem: unknown; bytes: number } {
    const reader = new TarReader(quiet)
    let bytes = 0
    try {
      for (reader.write(first); bytes < 64 << 20; bytes += block.length) reader.write(block)
      return { problem: undefined, bytes }
    } catch (problem) {
      return { problem, bytes }
    }
  }

  const headersOf = (piece: TarPiece, blocks: number) => buildTar([piece]).subarray(0, blocks * 512)

  test('an old GNU map without end, with segments and without', () => {
    const first = headersOf(
      { path: 's', sparse: { form: 'gnu', ...sparse, map: [0, 1, 2, 3, 4].map((offset) => ({ offset, length: 0 })) } },
      1,
    )
    const empty = Buffer.alloc(512)
    empty[504] = 1
    const full = Buffer.from(empty)
    for (let i = 0; i < 21; i++) full.write('00000000005\x0000000000000', i * 24)
    for (const block of [empty, full]) {
      const { problem, bytes } = pushForEver(first, block)
      expect([isProblem(problem, 'LIMIT_EXCEEDED'), bytes <= 1 << 20]).toEqual([true, true])
    }
  })

  test('a map of 1.0 without end', () => {
    const lines = Buffer.from(`${'5\n0\n'.repeat(128)}`)
    const pax = [
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.realsize', '10'],
    ] as const
    const first = headersOf({ path: 's', pax, declaredSize: 8 ** 10 }, 3)
    expect(pushForEver(first, Buffer.concat([Buffer.from('131072\n5\n'), lines]).subarray(0, 512)).problem).toSatisfy(
      isTarProblem,
    )
    expect(pushForEver(Buffer.concat([first, Buffer.from('131072\n'.padStart(512, '0'))]), lines).problem).toSatisfy(
      isTarProblem,
    )
  })

  test('extension headers without end keep nothing', () => {
    const one = buildTar([{ path: 'f', pax: [['comment', 'x'.repeat(100_000)]] }]).subarray(0, 512 * 197)
    const before = heldBytes()
    const { problem, bytes } = pushForEver(Buffer.alloc(0), one)
    expect([problem, bytes]).toEqual([undefined, expect.any(Number)])
    expect(heldBytes() - before).toBeLessThan(32 << 20)
  })

  test('contents pass through', () => {
    const first = headersOf({ path: 'large', declaredSize: 8 ** 10 }, 1)
    const before = heldBytes()
    expect(pushForEver(first, Buffer.alloc(1 << 20)).problem).toBeUndefined()
    expect(heldBytes() - before).toBeLessThan(8 << 20)
  })
})

const isTarProblem = (error: unknown) => isProblem(error, 'TAR_INVALID') || isProblem(error, 'LIMIT_EXCEEDED')
