import { spawn } from 'node:child_process'
import { chmod, lstat, mkdir, open, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { canPass } from '../../../test/support/kernel-passes-files.ts'
import { needs } from '../../../test/support/needs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { mountedAt, runTool } from '../../host/index.ts'
import type { BlockSource } from '../nbd/index.ts'
import { keystream } from '../registry/registry.testkit.ts'
import { type FuseServer, serveFuse } from './index.ts'

const content = keystream(3_000_001)
/** A machine at work may take its time. */
const patience = { timeout: 60_000 }

function sourceOf(bytes: Buffer): BlockSource {
  return {
    bytes: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
    hint: () => {},
    runAt: (_, length) => ({ length, isZero: false }),
  }
}

/** Of which every third read is answered only by `read`. */
function promptSourceOf(bytes: Buffer): BlockSource {
  let count = 0
  return {
    ...sourceOf(bytes),
    readAtOnce: (offset, place) =>
      count++ % 3 !== 0 && bytes.copy(place, 0, offset, offset + place.length) === place.length,
  }
}

/** Another process reads, always: one that waits for itself waits for ever. */
describe.runIf(needs({ root: true, tools: ['dd', 'cp', 'cmp'] }))('a file over /dev/fuse', () => {
  let directory: TemporaryDirectory
  let path = ''
  const servers: FuseServer[] = []

  beforeEach(async () => {
    directory = await temporaryDirectory()
    path = join(directory.path, 'file with a space')
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close()
    await directory[Symbol.asyncDispose]()
  })

  async function serve(source: BlockSource): Promise<FuseServer> {
    const server = await serveFuse(source, path)
    servers.push(server)
    return server
  }

  async function read(offset: number, length: number, ...flags: string[]): Promise<Buffer> {
    const range = [`skip=${offset}`, `count=${length}`, 'bs=1M', 'status=none']
    const iflag = ['skip_bytes', 'count_bytes', ...flags].join(',')
    return (await runTool('dd', [`if=${path}`, `iflag=${iflag}`, ...range])).stdout
  }

  test.each([
    ['of a source that makes them', sourceOf],
    ['of one that puts them where they are sent from', promptSourceOf],
  ])('has the bytes %s, at any place and to its end', async (_, source) => {
    const server = await serve(source(content))
    expect((await read(0, content.length + 5)).equals(content)).toBe(true)
    const ranges = fc.sample(fc.tuple(fc.nat({ max: content.length }), fc.nat({ max: 200_000 })), 15)
    for (const [offset, length] of ranges) {
      expect((await read(offset, length)).equals(content.subarray(offset, offset + length))).toBe(true)
    }
    const aligned = await read(1 << 20, 1 << 20, 'direct')
    expect(aligned.equals(content.subarray(1 << 20, 2 << 20))).toBe(true)
    expect((await stat(path)).size).toBe(content.length)
    await expect.poll(() => server.counters(), patience).toMatchObject({ clients: 0, errors: 0 })
    const { reads } = server.counters()
    // What the kernel has it keeps, from one that opens it to the next.
    expect((await read(0, content.length)).equals(content)).toBe(true)
    expect(server.counters().reads).toBe(reads)
  })

  test('has the owner and the mode of the empty file below it, cannot be written, and is away in the end', async () => {
    await writeFile(path, '')
    await chmod(path, 0o640)
    const server = await serve(sourceOf(content))
    const { mode, size } = await stat(path)
    expect([mode & 0o777, size]).toEqual([0o440, content.length])
    await expect(runTool('dd', ['if=/dev/zero', `of=${path}`, 'count=1', 'conv=notrunc'])).rejects.toThrow('Read-only')
    expect(await mountedAt(path)).toEqual({ type: 'fuse.cowshed', source: 'cowshed' })
    expect(await server.close()).toBe(false)
    expect((await stat(path)).size).toBe(0)
    expect(await mountedAt(path)).toBeUndefined()
  })

  test('that was not there before is gone with its server', async () => {
    const server = await serve(sourceOf(content))
    expect((await stat(path)).mode & 0o777).toBe(0o400)
    await server.close()
    await expect(lstat(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('gives an error for what cannot be had, and the rest', async () => {
    const server = await serve({
      ...sourceOf(content),
      read: (offset, length) =>
        offset < 1 << 20 ? Promise.reject(new Error('gone')) : content.subarray(offset, offset + length),
    })
    await expect(read(0, 4096, 'direct')).rejects.toThrow('Input/output error')
    expect((await read(2 << 20, 4096, 'direct')).equals(content.subarray(2 << 20, (2 << 20) + 4096))).toBe(true)
    expect(server.counters()).toMatchObject({ errors: 1, reads: 1 })
  })

  test('answers each as soon as it can, and whoever waits can be ended', async () => {
    const asked: number[] = []
    const waiting: (() => void)[] = []
    const server = await serve({
      ...sourceOf(content),
      read(offset, length) {
        asked.push(offset)
        const bytes = content.subarray(offset, offset + length)
        return offset === 0 ? new Promise((resolve) => waiting.push(() => resolve(bytes))) : bytes
      },
    })
    const gone = new AbortController()
    const first = read(0, 4096, 'direct')
    const dd = ['dd', [`if=${path}`, 'of=/dev/null', 'bs=4096', 'count=1', 'iflag=direct']] as const
    const second = runTool(dd[0], [...dd[1]], { signal: gone.signal })
    second.catch(() => {})
    await expect.poll(() => asked.length, patience).toBe(2)
    expect((await read(1 << 20, 4096, 'direct')).equals(content.subarray(1 << 20, (1 << 20) + 4096))).toBe(true)
    gone.abort()
    await expect(second).rejects.toThrow()
    // Only the one that was ended has let go of it.
    await expect.poll(() => server.counters().clients, patience).toBe(1)
    for (const answer of waiting) answer()
    expect((await first).equals(content.subarray(0, 4096))).toBe(true)
  })

  test('is closed under whoever waits for it: that is an error, and nobody hangs', async () => {
    const asked: number[] = []
    const server = await serve({
      ...sourceOf(content),
      read(offset) {
        asked.push(offset)
        return new Promise(() => {})
      },
    })
    const reading = read(0, 4096)
    reading.catch(() => {})
    await expect.poll(() => asked.length, patience).toBeGreaterThan(0)
    expect(await server.close()).toBe(true)
    await expect(reading).rejects.toThrow()
    expect(await mountedAt(path)).toBeUndefined()
  })

  test('has holes where zeros are, which nobody reads', async () => {
    const bytes = Buffer.concat([content.subarray(0, 1 << 20), Buffer.alloc(16 << 20), content.subarray(0, 1 << 20)])
    const from = 1 << 20
    const until = 17 << 20
    const asked: number[] = []
    await serve({
      ...sourceOf(bytes),
      read(offset, length) {
        asked.push(offset)
        return bytes.subarray(offset, offset + length)
      },
      runAt(offset, length) {
        const isZero = offset >= from && offset < until
        const end = offset < from ? from : isZero ? until : bytes.length
        return { isZero, length: Math.min(length, end - offset) }
      },
    })
    const copy = join(directory.path, 'copy')
    await runTool('cp', ['--reflink=never', '--sparse=auto', path, copy])
    await runTool('cmp', [path, copy])
    expect((await stat(copy)).blocks * 512).toBeLessThan(4 << 20)
    const before = asked.findIndex((offset) => offset >= until)
    // But for what the kernel reads ahead.
    expect(asked.slice(0, before).filter((offset) => offset > from + (1 << 20))).toEqual([])
  })

  test('is read by the kernel itself once all of it is in a file, when it is opened the next time', async () => {
    const file = join(directory.path, 'whole')
    await writeFile(file, content)
    await using whole = await open(file, 'r')
    let isWhole = false
    const server = await serve({ ...sourceOf(content), file: () => (isWhole ? whole.fd : undefined) })
    const reader = spawn('sh', ['-c', 'exec 3<"$1"; read line', 'sh', path], { stdio: ['pipe', 'ignore', 'inherit'] })
    await expect.poll(() => server.counters().clients, patience).toBe(1)
    isWhole = true
    // Whoever has it open has it in the other way, and the kernel takes but one.
    expect((await read(0, content.length)).equals(content)).toBe(true)
    const { reads } = server.counters()
    expect(reads).toBeGreaterThan(0)
    reader.stdin.end()
    await expect.poll(() => server.counters().clients, patience).toBe(0)
    const direct = await read(0, 2 << 20, 'direct')
    expect(direct.equals(content.subarray(0, 2 << 20))).toBe(true)
    expect((await read(0, content.length)).equals(content)).toBe(true)
    if (canPass()) expect(server.counters().reads).toBe(reads)
  })

  test('is over when somebody unmounts it', async () => {
    const server = await serve(sourceOf(content))
    await runTool('umount', [path])
    await server.ended
    expect(await server.close()).toBe(false)
  })

  test('is served where nothing is, and nowhere else', async () => {
    const refused = (why: string) =>
      expect(serveFuse(sourceOf(content), path)).rejects.toMatchObject({
        ...{ code: 'FILE_EXISTS', message: expect.stringContaining(why), hint: expect.stringContaining('empty file') },
      })
    await writeFile(path, 'text')
    await refused('it is not empty')
    path = join(directory.path, 'link')
    await symlink('nowhere', path)
    await refused('it is no regular file')
    path = join(directory.path, 'directory')
    await mkdir(path)
    await refused('it is no regular file')
    path = join(directory.path, 'none', 'x')
    await expect(serveFuse(sourceOf(content), path)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    path = join(directory.path, 'served')
    await serve(sourceOf(content))
    await refused('something is mounted there already')
    expect((await read(0, 10)).equals(content.subarray(0, 10))).toBe(true)
  })
})
