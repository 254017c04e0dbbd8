import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Progress } from '../../src/base/index.ts'
import { filesystemOf } from '../../src/host/index.ts'
import { toolsFor, withSmallFilesystem } from '../support/filesystems.ts'
import { buildImage, buildLayer, ociArchive } from '../support/image-builder.ts'
import { needs } from '../support/needs.ts'
import { noise } from '../support/noise.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'

const MiB = 2 ** 20

describe.runIf(needs({ root: true, tools: toolsFor('ext4') }))('a disk that runs full', () => {
  test('is pruned as far as was asked for, of nothing that is under way, and then rests', async () => {
    await withPressure('scopes = ["orphans", "cache", "images"]\nuntil = "0s"', async (rooms) => {
      await load(rooms, 'old')
      expect(ofPrune(rooms)).toEqual([])
      const heard = await load(rooms, 'new')
      const [event, ...more] = ofPrune(rooms)
      expect([event?.type, more]).toEqual(['prune.automatic', []])
      expect(event?.message).toMatch(/^[\d.]+ MB were free, less than 36\.7 MB: pruned .*old:1.*; [\d.]+ MB came back$/)
      expect(heard.map(({ message }) => message)).toContain(event?.message)
      expect((await rooms.usage.df()).notes.join('\n')).toContain(event?.message)
      expect(event?.data?.reclaimed_bytes).toBeGreaterThan(6 * MiB)
      const { freeBytes } = await filesystemOf(rooms.layout.root)
      expect(freeBytes).toBeGreaterThanOrEqual(40 * MiB)
      await rooms.images.resolve('new:1')

      // Full again, but it has acted just now.
      await load(rooms, 'third')
      expect([ofPrune(rooms).length, (await filesystemOf(rooms.layout.root)).freeBytes < 35 * MiB]).toEqual([1, true])
      expect(await tags(rooms)).toContain('new:1')
    })
  })

  test('keeps what is pinned or too recent, and says that there is nothing else', async () => {
    await withPressure('scopes = ["cache", "images"]\ncool_down = "0s"\nuntil = "0s"', async (rooms) => {
      await load(rooms, 'old')
      await rooms.images.pin('old:1', true)
      await load(rooms, 'new')
      const [unable] = ofPrune(rooms)
      expect(unable).toMatchObject({ type: 'prune.unable', message: expect.stringContaining('nothing that may go') })
      expect(await tags(rooms)).toEqual(['new:1', 'old:1'])
      await rooms.images.pin('old:1', false)
      await load(rooms, 'third')
      expect(ofPrune(rooms).at(-1)?.type).toBe('prune.automatic')
    })
    await withPressure('scopes = ["cache", "images"]\ncool_down = "0s"', async (rooms) => {
      for (const name of ['old', 'new']) await load(rooms, name)
      expect(new Set(ofPrune(rooms).map(({ type }) => type))).toEqual(new Set(['prune.unable']))
      expect(await tags(rooms)).toEqual(['new:1', 'old:1'])
    })
  })

  test('is left alone unless somebody has said when', async () => {
    await withSmallFilesystem('ext4', 64 * MiB, async (directory) => {
      await using rooms = await openRoomsOn(directory)
      for (const name of ['old', 'new', 'third']) await load(rooms, name)
      expect([ofPrune(rooms), await tags(rooms)]).toEqual([[], ['new:1', 'old:1', 'third:1']])
    })
  })
})

async function withPressure(settings: string, use: (rooms: OpenedRooms) => Promise<void>): Promise<void> {
  await withSmallFilesystem('ext4', 64 * MiB, async (directory) => {
    await mkdir(join(directory, 'data'))
    const amounts = 'when_free_below = "35MiB"\nfree_target = "40MiB"'
    await writeFile(join(directory, 'data/config.toml'), `[prune]\n${amounts}\n${settings}\n`)
    await using rooms = await openRoomsOn(directory)
    await use(rooms)
  })
}

/** Takes its bytes as a blob, and once more as a layer in the cache. */
async function load({ images }: OpenedRooms, name: string): Promise<Progress[]> {
  const image = buildImage({ layers: [buildLayer([{ path: name, content: noise(6 * MiB, name) }])] })
  const heard: Progress[] = []
  await images.load({
    source: { stream: once(ociArchive([{ image, ref: `${name}:1` }])) },
    onProgress: (progress) => heard.push(progress),
  })
  return heard
}

async function* once(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes
}

function ofPrune({ events }: OpenedRooms) {
  return events.read({ limit: 100 }).filter(({ type }) => type.startsWith('prune.'))
}

async function tags({ images }: OpenedRooms): Promise<string[]> {
  return (await images.list()).flatMap((image) => image.tags).sort()
}
