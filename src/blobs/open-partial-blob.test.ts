import { constants, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { appendFile, type FileHandle, mkdir, open, stat, writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { digestOf, noise } from '../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { type DataLayout, dataLayout, parseDigest } from '../base/index.ts'
import { openBlobStore, openPartialBlob } from './index.ts'

const content = noise(1_500_000)
const digest = parseDigest(digestOf(content))
const size = content.length

afterEach(() => void vi.restoreAllMocks())

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

  test('of no bytes is one too', async () => {
    await using data = await dataDirectory()
    const nothing = { layout: data.layout, digest: parseDigest(digestOf(Buffer.alloc(0))), size: 0 }
    await using partial = await openPartialBlob(nothing)
    expect(await partial.finish()).toMatchObject({ size: 0 })
  })

  test('that is whole is taken up though nobody may write to it any more', async () => {
    await using data = await dataDirectory()
    await mkdir(data.layout.downloads)
    await writeFile(data.layout.partialBlob(digest), content, { mode: 0o444 })
    await using partial = await openPartialBlob({ layout: data.layout, digest, size })
    // Root could write to it in spite of its mode.
    expect(accessModesOf(partial.path)).toEqual([constants.O_RDONLY])
    expect(await partial.finish()).toMatchObject({ digest, size })
  })

  test('of which some could not be written back is no blob, though a later sync succeeds', async () => {
    await using data = await dataDirectory()
    const large = Buffer.alloc(17 << 20, 'large')
    const request = { layout: data.layout, digest: parseDigest(digestOf(large)), size: large.length }
    const path = data.layout.partialBlob(request.digest)
    {
      await using partial = await openPartialBlob(request)
      const datasync = vi.spyOn(await fileHandlePrototype(), 'datasync')
      datasync.mockRejectedValueOnce(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }))
      await partial.append(large.subarray(0, 16 << 20))
      await partial.append(large.subarray(16 << 20))
      await expect(partial.finish()).rejects.toMatchObject({ code: 'IO_FAILED' })
      expect(datasync).toHaveBeenCalledTimes(2)
    }
    // Read from memory, it would be the right blob; on disk it is not.
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('is not hashed for somebody who has gone', async () => {
    await using data = await dataDirectory()
    const opening = openPartialBlob({ layout: data.layout, digest, size, signal: AbortSignal.abort() })
    await expect(opening).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

/** How this process has a file open. */
function accessModesOf(path: string): number[] {
  const open = readdirSync('/proc/self/fd').filter((fd) => linkOf(`/proc/self/fd/${fd}`) === path)
  return open.map((fd) => {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]
    return Number.parseInt(flags ?? '', 8) & (constants.O_WRONLY | constants.O_RDWR)
  })
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    // That of the directory itself.
    return undefined
  }
}

/** What every open file inherits from: the kernel cannot be made to lose bytes here. */
async function fileHandlePrototype(): Promise<FileHandle> {
  await using file = await open('/dev/null')
  return Object.getPrototypeOf(file) as FileHandle
}

async function dataDirectory(): Promise<AsyncDisposable & { readonly layout: DataLayout }> {
  const directory = await temporaryDirectory()
  return {
    layout: dataLayout(directory.path),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}
