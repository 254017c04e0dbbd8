import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { readTar } from '../../../test/support/read-tar.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { sparseTarHeader } from './sparse-tar-header.ts'
import { tarEnd, tarHeader, tarPadding } from './tar-header.ts'

/** Holes and data in turns; what is left over at the end is a hole. */
const sparseFiles = fc
  .record({
    blocks: fc.array(
      fc.record({ hole: fc.nat(5000), blocks: fc.integer({ min: 1, max: 3 }), fill: fc.integer({ min: 1, max: 255 }) }),
      {
        maxLength: 12,
      },
    ),
    last: fc.uint8Array({ maxLength: 700 }),
    tail: fc.nat(5000),
  })
  .map(({ blocks, last, tail }) => {
    const runs = [
      ...blocks.map(({ hole, blocks: count, fill }) => ({ hole, data: Buffer.alloc(512 * count, fill) })),
      ...(last.length === 0 ? [] : [{ hole: 0, data: last }]),
    ]
    const segments: { offset: number; length: number }[] = []
    let at = 0
    for (const { hole, data } of runs) {
      segments.push({ offset: at + hole, length: data.length })
      at += hole + data.length
    }
    const stored = Buffer.concat(runs.map(({ data }) => data))
    const content = Buffer.concat([...runs.flatMap(({ hole, data }) => [Buffer.alloc(hole), data]), Buffer.alloc(tail)])
    return { segments, stored, content }
  })

test('a sparse file is read back with its holes, and what follows it too', () => {
  fc.assert(
    fc.property(sparseFiles, fc.integer({ min: 1, max: 1500 }), (file, chunk) => {
      const { members, warnings } = readTar(archiveOf(file), { chunks: [chunk] })
      expect(warnings).toEqual([])
      expect(members.map(({ entry }) => [entry.path.toString(), entry.mode])).toEqual([
        ['volumes/disk', 0o400],
        ['after', 0o644],
      ])
      expect(members[0]?.content.equals(file.content)).toBe(true)
      expect(members[0]?.holeBytes).toBe(file.content.length - file.stored.length)
    }),
  )
})

test.runIf(needs({ tools: ['tar'] }))('GNU tar sees the same files', async () => {
  for (const file of fc.sample(sparseFiles, { numRuns: 10, seed: 7 })) {
    await using directory = await temporaryDirectory()
    execFileSync('tar', ['-C', directory.path, '-xf', '-'], { input: archiveOf(file) })
    expect((await readFile(join(directory.path, 'volumes/disk'))).equals(file.content)).toBe(true)
  }
})

test('a map that is not in order is refused', () => {
  for (const segments of [
    [{ offset: 0, length: 0 }],
    [{ offset: 9, length: 2 }],
    [
      { offset: 0, length: 2 },
      { offset: 5, length: 2 },
    ],
    [
      { offset: 0, length: 1024 },
      { offset: 512, length: 512 },
    ],
  ]) {
    expect(() => sparseTarHeader({ path: Buffer.from('x'), size: 10, segments })).toThrow('its map is not in order')
  }
})

function archiveOf({
  segments,
  stored,
  content,
}: {
  segments: { offset: number; length: number }[]
  stored: Buffer
  content: Buffer
}): Buffer {
  return Buffer.concat([
    sparseTarHeader({ path: Buffer.from('volumes/disk'), mode: 0o400, size: content.length, segments }),
    stored,
    tarPadding(stored.length),
    tarHeader({ path: Buffer.from('after'), type: 'file', size: 0 }),
    tarEnd(),
  ])
}
