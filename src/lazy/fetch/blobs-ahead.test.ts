import { expect, test } from 'vitest'
import { digestOf, Problem } from '../../base/index.ts'
import type { ReadBlob } from '../../wires/index.ts'
import { BlobsAhead } from './blobs-ahead.ts'

const bytes = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251))
const blob = { digest: digestOf(bytes), size: bytes.length }

/** A registry with one blob, which comes in pieces of 100 bytes. */
function registry() {
  const requests: ReadBlob[] = []
  const read = async function* (request: ReadBlob): AsyncGenerator<Buffer> {
    requests.push(request)
    const { from = 0, until = request.size, signal } = request
    for (let at = from; at < until; at += 100) {
      await new Promise((resolve) => setImmediate(resolve))
      if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped')
      yield bytes.subarray(at, Math.min(at + 100, until))
    }
  }
  return { requests, read }
}

async function collect(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

test('what was asked for is read from what comes, any range of it, by any number, and not asked for again', async () => {
  const { requests, read } = registry()
  using ahead = new BlobsAhead()
  ahead.ask(read, blob)
  ahead.ask(read, blob)
  expect(requests).toHaveLength(1)
  const first = ahead.before(read)
  const ranges = [{}, { from: 150, until: 950 }, { from: 199, until: 201 }, { from: 0, until: 1000 }]
  const found = await Promise.all(ranges.map((range) => collect(first({ ...blob, ...range }))))
  expect(found).toEqual(ranges.map(({ from, until }) => bytes.subarray(from, until)))
  expect(requests).toHaveLength(1)
})

test('what nobody has asked for, and what must not come from a mirror, is read as ever', async () => {
  const { requests, read } = registry()
  using ahead = new BlobsAhead()
  ahead.ask(read, { ...blob, size: (8 << 20) + 1 })
  expect(requests).toEqual([])
  ahead.ask(read, { ...blob, digest: digestOf('other') })
  expect(await collect(ahead.before(read)({ ...blob, from: 10, until: 20 }))).toEqual(bytes.subarray(10, 20))
  ahead.ask(read, blob)
  await collect(ahead.before(read)({ ...blob, mirrors: false }))
  expect(requests.map(({ from, mirrors }) => [from, mirrors])).toEqual([
    [undefined, undefined],
    [10, undefined],
    [undefined, undefined],
    [undefined, false],
  ])
})

test('of a blob its beginning may be asked for: what is beyond it is read as ever', async () => {
  const { requests, read } = registry()
  using ahead = new BlobsAhead()
  ahead.ask(read, { ...blob, size: 1 << 30 }, 300)
  const first = ahead.before(read)
  const ranges = [{ until: 300 }, { from: 120, until: 250 }, { from: 120, until: 301 }]
  for (const range of ranges)
    expect(await collect(first({ ...blob, ...range }))).toEqual(bytes.subarray(range.from, range.until))
  expect(requests.map(({ from, until }) => [from, until])).toEqual([
    [undefined, 300],
    [120, 301],
  ])
})

test('who finds it wrong and reads on asks the registry', async () => {
  const { requests, read } = registry()
  using ahead = new BlobsAhead()
  ahead.ask(read, blob)
  for await (const _ of ahead.before(read)(blob)) break
  expect(await collect(ahead.before(read)(blob))).toEqual(bytes)
  expect(requests).toHaveLength(2)
})

test('what cannot be had is told to who reads it, and the next one asks', async () => {
  const { read } = registry()
  using ahead = new BlobsAhead()
  ahead.ask(async function* () {
    yield bytes.subarray(0, 100)
    throw new Problem('REGISTRY_FAILED', 'it broke off')
  }, blob)
  const taken: Buffer[] = []
  const reading = (async () => {
    for await (const piece of ahead.before(read)(blob)) taken.push(piece)
  })()
  await expect(reading).rejects.toMatchObject({ code: 'REGISTRY_FAILED' })
  expect(Buffer.concat(taken)).toEqual(bytes.subarray(0, 100))
  expect(await collect(ahead.before(read)(blob))).toEqual(bytes)
})

test('nobody waits for it longer than he likes', async () => {
  const { read } = registry()
  using ahead = new BlobsAhead()
  const nothing = async function* (): AsyncGenerator<Buffer> {
    await new Promise(() => {})
    yield bytes
  }
  ahead.ask(nothing, blob)
  const stopping = new AbortController()
  const reading = collect(ahead.before(read)({ ...blob, signal: stopping.signal }))
  stopping.abort()
  await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('who reads it when it is forgotten reads it to the end; who comes after that asks', async () => {
  const { requests, read } = registry()
  using ahead = new BlobsAhead()
  ahead.ask(read, blob)
  const first = ahead.before(read)
  const reading = collect(first(blob))
  ahead.forget()
  expect(await Promise.all([reading, collect(first({ ...blob, until: 100 }))])).toEqual([bytes, bytes.subarray(0, 100)])
  expect(requests.map(({ until }) => until)).toEqual([1000, 100])
})

test('what is still coming when it is no longer of use is stopped', async () => {
  const { requests, read } = registry()
  const ahead = new BlobsAhead()
  ahead.ask(read, blob)
  const reading = collect(ahead.before(read)(blob))
  ahead[Symbol.dispose]()
  expect(requests[0]?.signal?.aborted).toBe(true)
  await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' })
})
