import { open, readFile, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { onEachFilesystem } from '../../test/support/filesystems.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { copyData } from './copy-data.ts'
import { dataSegments } from './data-segments.ts'
import { assembleFile, type FilePart, runTool } from './index.ts'

const page = 4096

onEachFilesystem(['btrfs', 'xfs', 'ext4'], (fs) => {
  const blocksUsed = async () => {
    await syncAll(fs.directory)
    const { bsize, blocks, bfree } = await statfs(fs.directory)
    return bsize * (blocks - bfree)
  }

  test('parts come one after the other, and share what they can', async () => {
    const [a, b] = [await fs.file({ size: '16MiB', name: 'a' }), await fs.file({ size: '8MiB', name: 'b' })]
    const before = await blocksUsed()
    const assembled = await assembleFile(fs.path('whole'), [
      { path: a.path, offset: 0, length: 16 << 20 },
      { path: b.path, offset: page, length: (8 << 20) - page },
      { path: a.path, offset: page, length: 2 * page },
    ])
    expect(assembled).toEqual({ strategy: fs.reflinks ? 'ficlonerange' : 'copy', bytes: (24 << 20) + page })
    const [whole, bytesA, bytesB] = await Promise.all([fs.path('whole'), a.path, b.path].map((path) => readFile(path)))
    const expected = Buffer.concat(
      [bytesA, bytesB?.subarray(page), bytesA?.subarray(page, 3 * page)].map((bytes) => bytes ?? Buffer.alloc(0)),
    )
    expect(whole?.equals(expected)).toBe(true)
    const added = (await blocksUsed()) - before
    if (fs.reflinks) expect(added).toBeLessThan(1 << 20)
    else expect(added).toBeGreaterThan(20 << 20)

    await a.overwrite('0')
    expect(await fs.read('whole', '0')).toEqual(a.original('0'))
  })

  test('parts that are not whole blocks are copied', async () => {
    await writeFile(fs.path('a'), Buffer.alloc(10_000, 'a'))
    await writeFile(fs.path('b'), Buffer.alloc(300_000, 'b'))
    const parts = [
      { path: fs.path('a'), offset: 0, length: 10_000 },
      { path: fs.path('b'), offset: 7, length: 299_993 },
    ]
    expect(await assembleFile(fs.path('whole'), parts)).toEqual({ strategy: 'copy', bytes: 309_993 })
    const expected = Buffer.concat([Buffer.alloc(10_000, 'a'), Buffer.alloc(299_993, 'b')])
    expect((await readFile(fs.path('whole'))).equals(expected)).toBe(true)
  })

  test('a last part with a ragged end is shared all the same', async () => {
    await writeFile(fs.path('a'), Buffer.alloc(3 * page, 'a'))
    await writeFile(fs.path('tail'), Buffer.alloc(page + 5, 't'))
    await syncAll(fs.directory)
    const { strategy } = await assembleFile(fs.path('whole'), [
      { path: fs.path('a'), offset: 0, length: 3 * page },
      { path: fs.path('tail'), offset: 0, length: page + 5 },
    ])
    expect(strategy).toBe(fs.reflinks ? 'ficlonerange' : 'copy')
    expect((await readFile(fs.path('whole'))).length).toBe(4 * page + 5)
  })

  test('holes stay holes, at the end too', async () => {
    const src = await fs.sparseFile({ size: '256MiB', dataAt: ['0', '128MiB'] })
    const parts = [
      { path: src.path, offset: 64 << 20, length: 192 << 20 },
      { path: src.path, offset: 0, length: 128 << 20 },
    ]
    await assembleFile(fs.path('whole'), parts)
    expect(await fs.allocated('whole')).toBeLessThanOrEqual(src.allocated * 2)
    expect(await fs.read('whole', '64MiB')).toEqual(src.original('128MiB'))
    expect(await fs.read('whole', '192MiB')).toEqual(src.original('0'))
  })

  test('what runs out of space leaves nothing', async () => {
    const src = await fs.file({ size: '40MiB' })
    await fs.fill({ leave: '10MiB' })
    const attempt = assembleFile(fs.path('whole'), [{ path: src.path, offset: 0, length: 40 << 20 }])
    if (fs.reflinks) await attempt
    else await expect(attempt).rejects.toMatchObject({ code: 'NO_SPACE' })
    expect(await fs.exists('whole')).toBe(fs.reflinks)
  })
})

test('a source that is too short, or gone, leaves nothing; what is there stays', async () => {
  await using dir = await temporaryDirectory()
  const [src, to] = [join(dir.path, 'src'), join(dir.path, 'to')]
  await writeFile(src, Buffer.alloc(2 * page))
  const tooLong = assembleFile(to, [{ path: src, offset: page, length: page + 1 }])
  await expect(tooLong).rejects.toMatchObject({ code: 'IO_FAILED', message: expect.stringContaining('8192 bytes') })
  await expect(assembleFile(to, [{ path: `${src}-absent`, offset: 0, length: 1 }])).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
  })
  await expect(readFile(to)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await assembleFile(to, [])).toEqual({ strategy: 'copy', bytes: 0 })
  await expect(assembleFile(to, [])).rejects.toMatchObject({ code: 'FILE_EXISTS' })
})

test('any parts of a sparse file, by either way of copying', async () => {
  await using dir = await temporaryDirectory()
  const size = 64 * page
  const piece = fc.record({ at: fc.nat(size - 1), length: fc.integer({ min: 1, max: 3 * page }) })
  const part = fc.record({ at: fc.nat(size - 1), length: fc.nat(size) })
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), fc.array(part, { maxLength: 4 }), async (pieces, parts) => {
      const path = join(dir.path, `src-${run++}`)
      const model = Buffer.alloc(size)
      await using src = await open(path, 'wx+')
      for (const { at, length } of pieces) {
        model.fill(`${at}`, at, Math.min(at + length, size))
        await src.write(model, at, Math.min(length, size - at), at)
      }
      await src.truncate(size)
      const ranges: FilePart[] = parts.map(({ at, length }) => ({
        path,
        offset: at,
        length: Math.min(length, size - at),
      }))
      const expected = Buffer.concat(ranges.map(({ offset, length }) => model.subarray(offset, offset + length)))
      await assembleFile(`${path}-whole`, ranges)
      expect((await readFile(`${path}-whole`)).equals(expected)).toBe(true)

      await using io = await open(`${path}-io`, 'wx+')
      await copyData({ from: src.fd, fromOffset: 0, to: io.fd, toOffset: 0, length: size }, 'io_copy')
      await io.truncate(size)
      expect((await readFile(`${path}-io`)).equals(model)).toBe(true)
      expect([...dataSegments(io.fd, 0, size)]).toEqual([...dataSegments(src.fd, 0, size)])
    }),
    { numRuns: 30 },
  )
})

async function syncAll(directory: string): Promise<void> {
  await runTool('sync', ['-f', directory])
}
