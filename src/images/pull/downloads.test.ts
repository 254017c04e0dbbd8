import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { digestOf, noise } from '../../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout, parseDigest } from '../../base/index.ts'
import type { ReadBlob } from '../../wires/index.ts'
import { Downloads } from './downloads.ts'

const content = noise(900_000)
const descriptor = { mediaType: 'application/x', digest: parseDigest(digestOf(content)), size: content.length }

test('a download that begins while the last one is still ending does not spoil its file', async () => {
  await using directory = await temporaryDirectory()
  const layout = dataLayout(directory.path)
  const downloads = new Downloads(layout)
  const begun: number[] = []
  const stop = new AbortController()
  const first = downloads.fetch({ descriptor, repository: { readBlob: untilStopped }, signal: stop.signal }).blob
  const failing = expect(first).rejects.toMatchObject({ code: 'CANCELLED' })
  await once(stop.signal, 'abort')
  // Nobody waits for it any more: it is told to end.
  await setImmediate()
  const { path } = await downloads.fetch({ descriptor, repository: { readBlob: whole } }).blob
  await failing
  expect(begun).toEqual([0, 300_000])
  expect((await readFile(path)).equals(content)).toBe(true)

  async function* untilStopped({ from = 0, signal }: ReadBlob) {
    begun.push(from)
    // Held by the download: not written before it ends.
    yield content.subarray(from, from + 300_000)
    stop.abort()
    await setTimeout(200)
    signal?.throwIfAborted()
  }

  async function* whole({ from = 0 }: ReadBlob) {
    begun.push(from)
    yield content.subarray(from)
  }
})
