import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { needs } from '../../test/support/needs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { runTool } from '../host/index.ts'
import { formatNbdAddress, serveNbd } from '../wires/index.ts'
import { openLazyLower } from './index.ts'
import { FakeRegistry, type PublishedLower, publishBytes } from './published.testkit.ts'

const tools = ['nbdinfo', 'nbdcopy', 'qemu-img', 'qemu-io', 'fio']
const megabyte = 1 << 20
/** What fio wrote, then zeros, then what it wrote again. */
const hole = { from: 8 * megabyte, to: 10 * megabyte }

/** All of the way from a registry to programs of others: a lower of which nothing is here, as a block device. */
describe.runIf(needs({ tools }))('other programs read a lower that is not here', () => {
  let directory: TemporaryDirectory
  let published: PublishedLower
  let files = 0

  beforeAll(async () => {
    directory = await temporaryDirectory()
    // Each block of 4 KiB says where it belongs, with a checksum.
    const written = ['--filename=written', '--rw=write', '--size=8m', '--do_verify=0', '--ioengine=psync']
    await fio(...written)
    const bytes = await readFile(join(directory.path, 'written'))
    published = await publishBytes(Buffer.concat([bytes, Buffer.alloc(hole.to - hole.from), bytes]))
    await writeFile(raw(), published.lower)
  })
  afterAll(() => directory[Symbol.asyncDispose]())

  const raw = () => join(directory.path, 'raw')
  async function fio(...args: string[]): Promise<void> {
    const job = ['--name=job', '--bs=4k', '--verify=crc32c', '--verify_fatal=1']
    // It leaves a file where it works.
    await runTool('fio', [...job, ...args], { cwd: directory.path, timeoutMs: 600_000 })
  }

  async function serve() {
    const path = join(directory.path, `${files++}`)
    const registry = new FakeRegistry(published)
    const lower = await openLazyLower({
      ...{ index: published.index, path, readStored: registry.read },
      policy: { kind: 'fail', afterMs: 60_000 },
      listener: { degraded: () => {}, recovered: () => {} },
    })
    const server = await serveNbd(lower, { kind: 'unix', path: `${path}.s` })
    return {
      ...{ lower, registry, path, url: formatNbdAddress(server.address) },
      async [Symbol.asyncDispose]() {
        await server.close()
        await lower[Symbol.asyncDispose]()
      },
    }
  }

  test.each(['read', 'randread'])('fio, which verifies what it reads: %s, 16 at a time', async (rw) => {
    await using served = await serve()
    const reading = ['--ioengine=nbd', `--uri=${served.url}`, `--rw=${rw}`, '--iodepth=16', '--size=8m']
    await fio(...reading)
    expect(served.lower.counters.fetchedBytes).toBeGreaterThan(7 * megabyte)
  })

  test('nbdcopy over four connections, and qemu-img, find what was published', async () => {
    await using served = await serve()
    const copy = join(directory.path, 'copy')
    await runTool('nbdcopy', ['--connections=4', '--requests=16', served.url, copy])
    expect((await readFile(copy)).equals(published.lower)).toBe(true)
    const { stdout } = await runTool('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', served.url, raw()])
    expect(stdout.toString()).toContain('Images are identical')
    // And so does who looks into the cache.
    expect((await readFile(served.path)).equals(published.lower)).toBe(true)
  })

  test('see where the zeros are, and nothing is fetched to tell them', async () => {
    await using served = await serve()
    const { requests } = served.registry
    const before = requests.length
    const { stdout } = await runTool('nbdinfo', ['--map', '--json', served.url])
    expect(JSON.parse(stdout.toString())).toMatchObject([
      { offset: 0, length: hole.from, type: 0 },
      { offset: hole.from, length: hole.to - hole.from, type: 3 },
      { offset: hole.to, length: published.lower.length - hole.to, type: 0 },
    ])
    const zeros = ['-c', `read -P 0 ${hole.from} ${hole.to - hole.from}`]
    const read = await runTool('qemu-io', ['-r', '-f', 'raw', ...zeros, served.url])
    expect(read.stdout.toString()).not.toContain('Pattern verification failed')
    expect(requests.length).toBe(before)
  })

  test('are told of what cannot be had, and of nothing else', async () => {
    await using served = await serve()
    const stored = published.index.parts[1]?.storedLengths.reduce((sum, length) => sum + length, 0) ?? 0
    // What is behind its middle never comes right.
    served.registry.always = (bytes, { from = 0 }) => (from > stored / 2 ? Buffer.alloc(bytes.length, 7) : bytes)
    const failing = ['-r', '-f', 'raw', '-c', 'read 17M 4k', '-c', 'read 1M 4k', served.url]
    const { stdout } = await runTool('qemu-io', failing, { okCodes: [0, 1] })
    expect(stdout.toString()).toMatch(/read failed: Input\/output error[\s\S]*read 4096\/4096 bytes at offset 1048576/)
  })
})
