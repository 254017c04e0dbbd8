import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { descriptorOf, digestOf, noise } from '../../test/support/image-builder.ts'
import { needs } from '../../test/support/needs.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { dataLayout, isDigest } from '../base/index.ts'
import { openStaging, runTool } from '../host/index.ts'
import { openBlobStore, refNameAnnotation, stageBlob } from './index.ts'
import { storeIndexEntry } from './store-index.ts'

describe('the store', () => {
  test('is a valid layout from the start, and opening it again changes nothing', async () => {
    await using store = await makeStore()
    const before = await readFile(store.layout.imageIndex)
    await openBlobStore(store.layout)
    expect(await readFile(store.layout.imageIndex)).toEqual(before)
    expect(JSON.parse(await readFile(store.layout.ociLayout, 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' })
  })

  test.runIf(needs({ tools: ['umoci'] }))('is read by umoci when it is empty', async () => {
    await using store = await makeStore()
    expect((await runTool('umoci', ['ls', '--layout', store.layout.root])).stdout.toString()).toBe('')
  })

  test('of another version is refused', async () => {
    await using store = await makeStore()
    await writeFile(store.layout.ociLayout, '{"imageLayoutVersion":"2.0.0"}')
    await expect(openBlobStore(store.layout)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_INVALID' })
  })
})

describe('a blob', () => {
  test('is staged, installed, read and removed', async () => {
    await using store = await makeStore()
    const content = noise(300_000)
    const staged = await store.stage(content)
    expect(await store.blobs.has(staged.digest)).toBe(false)
    await store.blobs.install([staged])

    const { mode } = await stat(store.blobs.path(staged.digest))
    expect(mode & 0o777).toBe(0o444)
    expect(await store.blobs.readBytes(staged.digest, 300_000)).toEqual(content)
    expect(await collect(store.blobs.read(staged.digest))).toEqual(content)
    expect((await store.blobs.list()).map((blob) => [blob.digest, blob.logicalBytes])).toEqual([
      [staged.digest, 300_000],
    ])
    expect(await store.blobs.remove(staged.digest)).toBeGreaterThanOrEqual(300_000)
    expect(await store.blobs.has(staged.digest)).toBe(false)
    expect(await store.blobs.remove(staged.digest)).toBe(0)
  })

  test('with the right size and other content is refused', async () => {
    await using store = await makeStore()
    const content = noise(1000)
    await expect(store.stage(content, { source: [noise(1000, 'other')] })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    })
  })

  test('that is too short is refused', async () => {
    await using store = await makeStore()
    await expect(store.stage(noise(1000), { source: [noise(999)] })).rejects.toMatchObject({ code: 'SIZE_MISMATCH' })
  })

  test('that is too long is refused at the first byte too many', async () => {
    await using store = await makeStore()
    let given = 0
    const endless = (function* () {
      for (;;) {
        given += 100
        yield Buffer.alloc(100)
      }
    })()
    await expect(store.stage(noise(1000), { source: endless })).rejects.toMatchObject({ code: 'SIZE_MISMATCH' })
    expect(given).toBe(1100)
  })

  test('that is cancelled is a cancelled one', async () => {
    await using store = await makeStore()
    const attempt = store.stage(noise(1000), { signal: AbortSignal.abort() })
    await expect(attempt).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  test('that was damaged on disk is never given out whole', async () => {
    await using store = await makeStore()
    const staged = await store.stage(noise(1000))
    await store.blobs.install([staged])
    await chmod(store.blobs.path(staged.digest), 0o644)
    await writeFile(store.blobs.path(staged.digest), noise(1000, 'rot'))
    await expect(store.blobs.readBytes(staged.digest, 1000)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(await store.blobs.isIntact(staged.digest, 1000)).toBe(false)
    await store.blobs.install([await store.stage(noise(1000))])
    expect(await store.blobs.isIntact(staged.digest, 1000)).toBe(true)
  })

  test('larger than what is asked for is not read into memory', async () => {
    await using store = await makeStore()
    const staged = await store.stage(noise(1001))
    await store.blobs.install([staged])
    await expect(store.blobs.readBytes(staged.digest, 1000)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })

  test('that is not there is BLOB_NOT_FOUND', async () => {
    await using store = await makeStore()
    const digest = digestFor(Buffer.from('nothing'))
    await expect(store.blobs.readBytes(digest, 10)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' })
    await expect(collect(store.blobs.read(digest))).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' })
  })

  test('may be installed by several at once', async () => {
    await using store = await makeStore()
    const install = async () => {
      await using staging = await openStaging(store.layout, 'test')
      await store.blobs.install([await store.stage(noise(50_000), { staging: staging.path })])
    }
    await Promise.all(Array.from({ length: 8 }, install))
    expect(await store.blobs.isIntact(digestFor(noise(50_000)), 50_000)).toBe(true)
    expect(await readdir(`${store.layout.blobs}/sha256`)).toHaveLength(1)
  })

  test('stands beside files that are none', async () => {
    await using store = await makeStore()
    await writeFile(`${store.layout.blobs}/sha256/.tmp-of-another-tool`, 'x')
    await mkdir(`${store.layout.blobs}/blake3`)
    expect(await store.blobs.list()).toEqual([])
  })
})

describe('index.json', () => {
  test('takes updates from all sides at once, and loses none', async () => {
    await using store = await makeStore()
    const names = Array.from({ length: 30 }, (_, i) => `app:${i}`)
    await Promise.all(names.map((name) => store.addTag(name)))
    const { entries } = await store.blobs.readIndex()
    expect(entries.map((entry) => entry.refName)).toEqual(names)
  })

  test('keeps what others wrote into it', async () => {
    await using store = await makeStore()
    const strange = { mediaType: 'application/x', digest: 'blake3:00', size: 1, extra: { nested: [1] } }
    const foreign = { schemaVersion: 2, annotations: { mine: 'yes' }, custom: { a: 1 }, manifests: [strange, 'odd'] }
    await writeFile(store.layout.imageIndex, JSON.stringify(foreign))
    await store.addTag('app:1')
    const written = JSON.parse(await readFile(store.layout.imageIndex, 'utf8'))
    expect(written).toMatchObject({ annotations: { mine: 'yes' }, custom: { a: 1 } })
    expect(written.manifests.slice(0, 2)).toEqual([strange, 'odd'])
    expect(written.manifests).toHaveLength(3)
  })

  test('goes on after an update that failed', async () => {
    await using store = await makeStore()
    const failed = store.blobs.updateIndex(() => Promise.reject(new Error('no')))
    const after = store.addTag('app:1')
    await expect(failed).rejects.toThrow('no')
    expect((await after).entries).toHaveLength(1)
  })

  test('that cannot be read is named, and never replaced', async () => {
    await using store = await makeStore()
    for (const broken of ['', '\0\0\0\0', '{"manifests": 7}', '[]']) {
      await writeFile(store.layout.imageIndex, broken)
      await expect(store.blobs.readIndex()).rejects.toMatchObject({
        code: 'RECORD_INVALID',
        message: expect.stringContaining(store.layout.imageIndex),
      })
      await expect(store.addTag('app:1')).rejects.toMatchObject({ code: 'RECORD_INVALID' })
      expect(await readFile(store.layout.imageIndex, 'utf8')).toBe(broken)
    }
  })
})

interface StageOptions {
  readonly source?: Iterable<Buffer>
  readonly staging?: string
  readonly signal?: AbortSignal
}

async function makeStore() {
  const directory = await temporaryDirectory()
  const layout = dataLayout(directory.path)
  const blobs = await openBlobStore(layout)
  const staging = await openStaging(layout, 'test')
  const stage = (content: Buffer, options: StageOptions = {}) =>
    stageBlob({
      staging: options.staging ?? staging.path,
      digest: digestFor(content),
      size: content.length,
      source: toStream(options.source ?? [content]),
      signal: options.signal,
    })
  const addTag = (name: string) =>
    blobs.updateIndex((index) => {
      const raw = { ...descriptorOf(Buffer.from(name), 'text/plain'), annotations: { [refNameAnnotation]: name } }
      return { ...index, entries: [...index.entries, storeIndexEntry(raw)] }
    })
  return { layout, blobs, stage, addTag, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() }
}

function digestFor(content: Buffer) {
  const digest = digestOf(content)
  if (!isDigest(digest)) throw new Error(digest)
  return digest
}

async function* toStream(source: Iterable<Buffer>): AsyncIterable<Buffer> {
  yield* source
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}
