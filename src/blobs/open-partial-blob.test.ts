import { readFileSync } from 'node:fs'
import { appendFile, mkdir, stat, writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf, noise } from '../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { type DataLayout, dataLayout, parseDigest } from '../base/index.ts'
import { openBlobStore, openPartialBlob } from './index.ts'

const content = noise(1_500_000)
const digest = parseDigest(digestOf(content))
const size = content.length

describe('a partial blob', () => {
  test('grows, is proved, and is installed from where it is', async () => {
    await using data = await dataDirectory()
    const blobs = await openBlobStore(data.layout)
    const told: number[] = []
    {
      const path = data.layout.partialBlob(digest)
      const onGrown = (bytes: number) => {
        told.push(bytes)
        // Whoever follows it can read what was told to be there.
        expect(readFileSync(path).equals(content.subarray(0, bytes))).toBe(true)
      }
      await using partial = await openPartialBlob({ layout: data.layout, digest, size, onGrown })
      expect([partial.bytes, partial.found]).toEqual([0, 0])
      for (let at = 0; at < size; at += 100_000) await partial.append(content.subarray(at, at + 100_000))
      await blobs.install([await partial.finish()])
    }
    expect([told[0], told.at(-1)]).toEqual([0, size])
    expect(told.length).toBeGreaterThan(2)
    expect(await blobs.isIntact(digest, size)).toBe(true)
    expect((await stat(blobs.path(digest))).mode & 0o777).toBe(0o444)
    await expect(stat(data.layout.partialBlob(digest))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('is taken up wherever it was left, and is the same blob in the end', async () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: size }), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(cuts, async (unsorted) => {
        await using own = await dataDirectory()
        for (const cut of [...unsorted.sort((a, b) => a - b), size]) {
          await using partial = await openPartialBlob({ layout: own.layout, digest, size })
          expect(partial.found).toBe((await stat(partial.path)).size)
          await partial.append(content.subarray(partial.bytes, cut))
        }
        await using partial = await openPartialBlob({ layout: own.layout, digest, size })
        expect(partial.found).toBe(size)
        expect(await partial.finish()).toMatchObject({ digest, size })
      }),
      { numRuns: 15 },
    )
  })

  test('of other bytes is removed when that is found out', async () => {
    await using data = await dataDirectory()
    await mkdir(data.layout.downloads)
    await writeFile(data.layout.partialBlob(digest), Buffer.from('these are not its bytes'))
    await using partial = await openPartialBlob({ layout: data.layout, digest, size })
    await partial.append(content.subarray(partial.bytes))
    await expect(partial.finish()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    await expect(stat(partial.path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('that is too short is not finished, and stays', async () => {
    await using data = await dataDirectory()
    {
      await using partial = await openPartialBlob({ layout: data.layout, digest, size })
      await partial.append(content.subarray(0, 1000))
      await expect(partial.finish()).rejects.toMatchObject({ code: 'SIZE_MISMATCH' })
    }
    expect((await stat(data.layout.partialBlob(digest))).size).toBe(1000)
  })

  test('takes no byte more than the blob has', async () => {
    await using data = await dataDirectory()
    {
      await using partial = await openPartialBlob({ layout: data.layout, digest, size })
      await partial.append(content)
      await expect(partial.append(Buffer.alloc(1))).rejects.toMatchObject({ code: 'SIZE_MISMATCH' })
    }
    expect((await stat(data.layout.partialBlob(digest))).size).toBe(size)
  })

  test('that is longer than the blob is no beginning of it', async () => {
    await using data = await dataDirectory()
    await mkdir(data.layout.downloads)
    await writeFile(data.layout.partialBlob(digest), content)
    await appendFile(data.layout.partialBlob(digest), 'more')
    await using partial = await openPartialBlob({ layout: data.layout, digest, size })
    expect([partial.found, (await stat(partial.path)).size]).toEqual([0, 0])
  })

  test('is not hashed for somebody who has gone', async () => {
    await using data = await dataDirectory()
    const opening = openPartialBlob({ layout: data.layout, digest, size, signal: AbortSignal.abort() })
    await expect(opening).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

async function dataDirectory(): Promise<AsyncDisposable & { readonly layout: DataLayout }> {
  const directory = await temporaryDirectory()
  return {
    layout: dataLayout(directory.path),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}
