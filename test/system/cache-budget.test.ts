import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Digest, type Progress, parseDigest } from '../../src/base/index.ts'
import { buildImage, buildLayer, ociArchive } from '../support/image-builder.ts'
import { noise } from '../support/noise.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const imageOf = (name: string, bytes: number) =>
  buildImage({ layers: [buildLayer([{ path: name, content: noise(bytes, name) }])] })

describe('a budget of the cache', () => {
  test('that is exceeded evicts what the new image does not need, says so, and then rests', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await roomsWith(dir.path, '[cache]\nmax_used = "1MiB"\n')
    const heard: Progress[] = []
    await load(rooms, 'a', 700_000, heard)
    const before = await lowerOf(rooms, 'a', 700_000)
    expect([heard.flatMap(({ message }) => message ?? []), evictions(rooms)]).toEqual([[], []])

    await load(rooms, 'b', 700_000, heard)
    const [told, ...more] = heard.flatMap(({ message }) => message ?? [])
    expect([told, more]).toEqual([
      expect.stringMatching(/^an image came: evicted from the cache .*a:1.* \(.*\); it may take 1\.0 MB$/),
      [],
    ])
    const [event] = evictions(rooms)
    expect(event?.message).toBe(told)
    expect(event?.data?.bytes).toBeGreaterThan(350_000)
    expect((await cached(rooms)).some((name) => name.endsWith('b:1'))).toBe(true)

    // Over the budget again, but it has acted just now.
    await load(rooms, 'c', 1_500_000, heard)
    expect(evictions(rooms)).toHaveLength(1)
    // What was evicted is built again from its blobs.
    expect(await lowerOf(rooms, 'a', 700_000)).toBe(before)
  })

  test('that is not set evicts nothing', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await roomsWith(dir.path, '')
    for (const name of ['a', 'b']) await load(rooms, name, 700_000)
    expect([evictions(rooms), (await cached(rooms)).length]).toEqual([[], 2])
  })
})

async function roomsWith(directory: string, settings: string): Promise<OpenedRooms> {
  await mkdir(join(directory, 'data'), { recursive: true })
  await writeFile(join(directory, 'data/config.toml'), settings)
  return await openRoomsOn(directory)
}

async function load({ images }: OpenedRooms, name: string, bytes: number, heard: Progress[] = []): Promise<void> {
  const archive = ociArchive([{ image: imageOf(name, bytes), ref: `${name}:1` }])
  const stream = (async function* () {
    yield archive
  })()
  await images.load({ source: { stream }, onProgress: (progress) => heard.push(progress) })
}

/** Its digest, built if it is not there. */
async function lowerOf({ images }: OpenedRooms, name: string, bytes: number): Promise<string> {
  const manifest = parseDigest(imageOf(name, bytes).root.digest) as Digest
  using _hold = images.hold(manifest)
  const { path } = await images.ensureLower(manifest)
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}

async function cached({ usage }: OpenedRooms): Promise<string[]> {
  const { items } = await usage.prune({ dry_run: true, log_tail_bytes: 0, scope: ['cache'] })
  return items.flatMap(({ name }) => name ?? [])
}

function evictions({ events }: OpenedRooms) {
  return events.read({ limit: 1000 }).filter(({ type }) => type === 'cache.evicted')
}
