import { chmod, copyFile, cp, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import type { DataLayout, Digest } from '../../base/index.ts'
import { leafBytes } from '../../formats/index.ts'
import { serveNbd } from '../../wires/index.ts'
import { openClient } from '../../wires/nbd/nbd.testkit.ts'
import { openPublished, type Published } from './published-image.testkit.ts'

/** The files of a lazy lower on a host that has all of it, and of another image's. */
interface Files {
  readonly data: string
  readonly chunks: string
  readonly record: string
  readonly other: { readonly data: string; readonly chunks: string; readonly record: string }
}

const replaced = async (path: string, content: string | Buffer) => await writeFile(path, content)

/** What can have become of it, beyond bytes of `data`, of which src/lazy/lazy-lower.test.ts has sixty. */
const damages: Record<string, (files: Files) => Promise<void>> = {
  'data of another image': ({ data, other }) => copyFile(other.data, data),
  'data that may not be read': ({ data }) => chmod(data, 0o000),
  'data that may be read by all': ({ data }) => chmod(data, 0o666),
  'the index of another image': ({ chunks, other }) => copyFile(other.chunks, chunks),
  'an index that was cut': ({ chunks }) => truncate(chunks, 100),
  'an index with one bit flipped': async ({ chunks }) => {
    const bytes = await readFile(chunks)
    bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1
    await replaced(chunks, bytes)
  },
  'an index that is empty': ({ chunks }) => replaced(chunks, ''),
  'no index': ({ chunks }) => rm(chunks),
  'an index that is a link to nowhere': async ({ chunks }) => {
    await rm(chunks)
    await symlink('/nowhere', chunks)
  },
  'the record of another image': ({ record, other }) => copyFile(other.record, record),
  'a record of zeros': ({ record }) => replaced(record, Buffer.alloc(500)),
  'a record of a version to come': async ({ record }) => {
    await replaced(record, (await readFile(record, 'utf8')).replace('"version": 1', '"version": 2'))
  },
  'a record that tells of another registry': async ({ record }) => {
    const text = await readFile(record, 'utf8')
    await replaced(record, text.replace(/"registry": "[^"]*"/, '"registry": "127.0.0.1:1"'))
  },
  'no record': ({ record }) => rm(record),
}

describe.runIf(needs({ tools: registryTools }))('what is here of an image', () => {
  let published: Published
  /** One that has all of it. */
  let whole: { readonly layout: DataLayout; readonly chunkIndex: Digest }
  let other: Files['other']

  beforeAll(async () => {
    published = await openPublished()
    whole = await filled('team/app:1')
    const second = await filled('team/app:2')
    other = second.layout.lazyLower(second.chunkIndex)
  })
  afterAll(() => published[Symbol.asyncDispose]())
  beforeEach(() => published.pulls.proxy.clear())

  async function filled(name: string) {
    const layout = published.newHost()
    await using attached = await published.attach(layout, { reference: published.pulls.ref(name) })
    await attached.lower.fill({ signal: new AbortController().signal })
    return { layout, chunkIndex: attached.chunkIndex }
  }

  async function copyOfWhole(): Promise<DataLayout> {
    const layout = published.newHost()
    const { dir } = layout.lazyLower(whole.chunkIndex)
    await mkdir(dirname(dir), { recursive: true })
    await cp(whole.layout.lazyLower(whole.chunkIndex).dir, dir, { recursive: true, verbatimSymlinks: true })
    return layout
  }

  /** @returns what became of each leaf, or of the whole when it could not be opened */
  async function readAll(layout: DataLayout, reference: string): Promise<string[]> {
    try {
      await using attached = await published.attach(layout, { reference, policy: { kind: 'fail', afterMs: 300 } })
      return [...new Set(await published.readLeaves(attached))]
    } catch (error) {
      return [(error as { code?: string }).code ?? String(error)]
    }
  }

  test.each(Object.entries(damages))('may be %s: it gives right bytes, or an error', async (_, damage) => {
    const layout = await copyOfWhole()
    await damage({ ...layout.lazyLower(whole.chunkIndex), other })
    const { pulls } = published
    const reference = pulls.ref('team/app:1')
    // With the registry dead, by its name and by what is under it.
    pulls.proxy.fault({ times: 10_000 }, { kind: 'reset', after: 0 })
    for (const asked of [reference, whole.chunkIndex]) {
      const outcomes = await readAll(layout, asked)
      expect(
        outcomes.filter(
          (outcome) => !/^(?:right|REGISTRY_UNREACHABLE|IMAGE_NOT_FOUND|PERMISSION_DENIED)$/.test(outcome),
        ),
      ).toEqual([])
    }
    pulls.proxy.clear()
    if ((await readAll(layout, reference))[0] === 'PERMISSION_DENIED') return
    await using attached = await published.attach(layout)
    await published.expectRight(attached)
  })

  test('is fetched once, for one reader as for fifty at a time: as many requests, and no leaf twice', async () => {
    const alone = await readBy(1)
    const together = await readBy(50)
    expect(together.gets).toBe(alone.gets)
    expect(together.requests).toBe(alone.gets)
    // Of what a chunk gives beyond its window, some may come a second time, and is not counted.
    for (const { fetchedBytes } of [alone, together]) expect(fetchedBytes).toBeLessThanOrEqual(published.lower.length)
  })

  /** Clients of one server, each of which reads all of it in its order, over a cache that begins anew. */
  async function readBy(clients: number) {
    const { lower, pulls } = published
    await using attached = await published.attach(published.newHost())
    const server = await serveNbd(attached.lower, { kind: 'tcp', host: '127.0.0.1', port: 0 })
    try {
      pulls.proxy.clear()
      const before = attached.lower.counters.requests
      await Promise.all(
        Array.from({ length: clients }, async () => {
          await using client = await openClient(server.address)
          await client.go()
          for (let at = 0; at < lower.length; at += leafBytes) {
            const right = lower.subarray(at, at + leafBytes)
            expect((await client.read(at, right.length)).equals(right)).toBe(true)
          }
        }),
      )
      const { fetchedBytes, requests } = attached.lower.counters
      return { gets: pulls.proxy.requests.length, fetchedBytes, requests: requests - before }
    } finally {
      await server.close()
    }
  }
})
