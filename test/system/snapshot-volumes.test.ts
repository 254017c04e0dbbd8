import { open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CreateShedRequest } from '../../src/contract/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { withSmallFilesystem } from '../support/filesystems.ts'
import { needs } from '../support/needs.ts'
import { runScript } from '../support/node-script.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const killedCreate = new URL('./killed-create.testkit.ts', import.meta.url)
const bytes = 64 * 2 ** 20
const from = { image: undefined, from_snapshot: 'both' }

/** What a stopped shed writes to and reads, and a snapshot of it. */
async function withVolumes(rooms: OpenedRooms): Promise<void> {
  await rooms.loadMini()
  for (const name of ['data', 'shared']) await rooms.sheds.volumes.create({ name, bytes })
  await mark(rooms, 'data', 'first')
  await rooms.create('web', {
    volumes: [
      { volume: 'shared', path: '/shared', read_only: true },
      { volume: 'data', path: '/data', read_only: false },
    ],
  })
  await rooms.sheds.snapshots.create({ shed: 'web', name: 'both' })
}

/** In the last bytes of its disk, where no filesystem has anything. */
async function mark({ layout }: OpenedRooms, volume: string, word: string): Promise<void> {
  await using file = await open(layout.volume(volume).data, 'r+')
  await file.write(word, bytes - 16)
}

async function markOf(path: string): Promise<string> {
  return (await readFile(path))
    .subarray(bytes - 16)
    .toString()
    .replace(/\0+$/, '')
}

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a snapshot of a shed with volumes', () => {
  let directory: TemporaryDirectory
  let rooms: OpenedRooms
  beforeAll(async () => {
    directory = await temporaryDirectory()
    rooms = await openRoomsOn(directory.path)
    await withVolumes(rooms)
  })
  afterAll(async () => {
    await rooms[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })
  const create = (name: string, more: Partial<CreateShedRequest> = {}) => rooms.create(name, { ...from, ...more })
  const mountsOf = async (name: string) =>
    (await rooms.sheds.get(name)).volumes.map(
      ({ volume, path, read_only }) => `${volume}:${path}${read_only ? ':ro' : ''}`,
    )

  test('has those that it writes to as they were, and names those that it reads', async () => {
    await mark(rooms, 'data', 'later')
    const path = rooms.layout.snapshotVolume('both', 'data')
    expect([await markOf(path), (await stat(path)).mode & 0o777]).toEqual(['first', 0o400])
    expect(await readdir(rooms.layout.snapshot('both').volumes)).toEqual(['data.ext4'])
    expect(await rooms.sheds.snapshots.get('both')).toMatchObject({
      volumes: [
        { volume: 'shared', read_only: true },
        { volume: 'data', bytes },
      ],
      missing_volumes: [],
    })
    const report = await rooms.usage.df()
    expect(report.snapshots).toMatchObject([{ name: 'both', volumes: [{ path, kind: 'volume' }] }])
    expect(report.orphans).toEqual([])
  })

  test('gives a shed new ones with what was on them, that outlive it like any other', async () => {
    await create('copy')
    expect(await mountsOf('copy')).toEqual(['shared:/shared:ro', 'copy-data:/data'])
    const { data, madeFor } = rooms.layout.volume('copy-data')
    expect([await markOf(data), (await stat(data)).mode & 0o777]).toEqual(['first', 0o600])
    await expect(stat(madeFor)).rejects.toMatchObject({ code: 'ENOENT' })
    const [one, other] = await Promise.all(['data', 'copy-data'].map((name) => rooms.sheds.volumes.get(name)))
    expect(one?.id).not.toBe(other?.id)
    const reply = await rooms.sheds.create({ ...(await requestOf('copy')), volumes: [] })
    expect(reply.outcome).toBe('unchanged')
    await rooms.sheds.remove('copy', { force: false })
    expect(await rooms.sheds.volumes.get('copy-data')).toMatchObject({ status: 'detached' })
  })

  const requestOf = async (name: string) => {
    const { cpus, memory_bytes, network } = await rooms.sheds.get(name)
    return {
      ...from,
      ...{ name, cpus, memory_bytes, network },
      ...{ secrets: [], start: false, pull: 'never' as const },
    }
  }

  test('gives them the names, the place and the company that was asked for', async () => {
    await rooms.sheds.volumes.create({ name: 'mine', bytes })
    await create('named', { volume_names: { data: 'other' } })
    expect(await mountsOf('named')).toEqual(['shared:/shared:ro', 'other:/data'])
    await create('own', { volumes: [{ volume: 'mine', path: '/data', read_only: false }] })
    expect(await mountsOf('own')).toEqual(['shared:/shared:ro', 'mine:/data'])
    await create('bare', { snapshot_volumes: false })
    expect(await mountsOf('bare')).toEqual([])
    await rooms.sheds.snapshots.create({ shed: 'web', name: 'disk', volumes: false })
    expect(await rooms.sheds.snapshots.get('disk')).toMatchObject({ volumes: [] })
  })

  test('refuses what cannot be before anything is made', async () => {
    const before = await rooms.sheds.volumes.list()
    const invalid = { code: 'INVALID_REQUEST' }
    await expect(create('x', { volume_names: { shared: 'y' } })).rejects.toMatchObject(invalid)
    await expect(create('x', { volume_names: { data: 'shared' } })).rejects.toMatchObject(invalid)
    await expect(create('l'.repeat(63))).rejects.toMatchObject(invalid)
    await expect(create('x', { volume_names: { data: 'mine' } })).rejects.toMatchObject({
      code: 'VOLUME_ALREADY_EXISTS',
    })
    const volumes = [{ volume: 'data', path: '/more', read_only: false }]
    await expect(create('x', { volumes })).rejects.toMatchObject({ code: 'VOLUME_IN_USE' })
    expect(await rooms.sheds.volumes.list()).toEqual(before)
    expect(await readdir(rooms.layout.staging)).toEqual([])
  })

  test('says what is missing: a volume that was only named, or one of its own', async () => {
    for (const name of ['web', 'named', 'own']) await rooms.sheds.remove(name, { force: false })
    await rooms.sheds.volumes.remove('shared', { force: false })
    expect(await rooms.sheds.snapshots.get('both')).toMatchObject({ status: 'whole', missing_volumes: ['shared'] })
    await expect(create('x')).rejects.toMatchObject({ code: 'VOLUME_NOT_FOUND' })
    await rm(rooms.layout.snapshotVolume('both', 'data'))
    expect(await rooms.sheds.snapshots.get('both')).toMatchObject({
      status: 'broken',
      status_reason: expect.stringContaining('data.ext4'),
    })
  })
})

test.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))(
  'kill -9 at any step of a create from a snapshot leaves the shed with its volumes, or neither',
  async () => {
    await using directory = await temporaryDirectory()
    const opened = async <T>(look: (rooms: OpenedRooms) => Promise<T>): Promise<T> => {
      await using rooms = await openRoomsOn(directory.path)
      return await look(rooms)
    }
    await opened(withVolumes)
    const killed = async (step: number) => (await runScript(killedCreate, [String(step), directory.path])).stdout
    const steps = (await killed(-1)).trimEnd().split('\n')
    await opened(removeCopy)
    const at = (line: string) => steps.indexOf(line)
    const chosen = [
      steps.findIndex((line) => /^sync \/staging\/volume-copy-data/.test(line)),
      at('sync /volumes'),
      steps.findIndex((line) => /^sync \/staging\/create-copy/.test(line)),
      at('sync /sheds'),
      at('rm /volumes/copy-data/made-for.json'),
      at('sync /volumes/copy-data'),
    ]
    expect(chosen).toEqual([...chosen].sort((a, b) => a - b))
    expect(chosen[0]).toBeGreaterThanOrEqual(0)
    const outcomes: boolean[] = []
    for (const step of chosen) {
      await killed(step)
      await opened(async (rooms) => {
        const made = (await rooms.sheds.list()).some(({ name }) => name === 'copy')
        const volume = (await rooms.sheds.volumes.list()).find(({ name }) => name === 'copy-data')
        expect(volume?.status, steps[step]).toBe(made ? 'attached' : undefined)
        // Nothing takes its volume for half made any more, not even when the shed goes.
        if (made) await rooms.sheds.remove('copy', { force: false })
        outcomes.push(made)
      })
      await opened(async (rooms) => {
        const names = (await rooms.sheds.volumes.list()).map(({ name }) => name)
        expect(names).toEqual(outcomes.at(-1) === true ? ['copy-data', 'data', 'shared'] : ['data', 'shared'])
        await removeCopy(rooms)
      })
    }
    expect(outcomes).toEqual([false, false, false, true, true, true])
  },
)

async function removeCopy({ sheds }: OpenedRooms): Promise<void> {
  const found = await Promise.all([sheds.list(), sheds.volumes.list()])
  if (found[0].some(({ name }) => name === 'copy')) await sheds.remove('copy', { force: false })
  if (found[1].some(({ name }) => name === 'copy-data')) await sheds.volumes.remove('copy-data', { force: false })
}

test.runIf(needs({ root: true, tools: ['mke2fs', 'mkfs.ext4', 'mount', 'umount', ...busyboxImageTools] }))(
  'on a full disk there is no snapshot without its volumes, and no shed and no volume without the other',
  async () => {
    await withSmallFilesystem('ext4', 96 << 20, async (directory, fs) => {
      await using rooms = await openRoomsOn(directory)
      await withVolumes(rooms)
      await fs.fill({ leave: '96KiB' })
      const noSpace = { code: 'NO_SPACE' }
      await expect(rooms.sheds.snapshots.create({ shed: 'web', name: 'second' })).rejects.toMatchObject(noSpace)
      await expect(rooms.create('copy', from)).rejects.toMatchObject(noSpace)
      expect((await rooms.sheds.volumes.list()).map(({ name }) => name)).toEqual(['data', 'shared'])
      expect((await rooms.sheds.list()).map(({ name }) => name)).toEqual(['web'])
      expect((await rooms.sheds.snapshots.list()).map(({ name }) => name)).toEqual(['both'])
      expect(await readdir(rooms.layout.staging)).toEqual([])
    })
  },
)
