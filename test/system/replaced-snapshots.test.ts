import { renameSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { backupSnapshot } from '../../src/daemon/routes/snapshot-backups.ts'
import { exportSnapshot } from '../../src/sheds/snapshots/export-snapshot.ts'
import { Uses } from '../../src/sheds/thermal/uses.ts'
import { Transitions } from '../../src/sheds/transitions.ts'
import { createWeb } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

/** Another snapshot gets its name between two of the things that are read of it: nothing is made that has something of both. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a snapshot that another takes the place of', () => {
  let fake: FakeQemu
  let directory: TemporaryDirectory
  let rooms: OpenedRooms

  beforeAll(async () => {
    fake = await fakeQemu()
    directory = await temporaryDirectory()
    rooms = await openRoomsOn(directory.path)
    await rooms.sheds.volumes.create({ name: 'data', bytes: 64 * 2 ** 20 })
    await createWeb(rooms, { volumes: [{ volume: 'data', path: '/data', read_only: false }] })
    for (const name of ['mem', 'other']) await rooms.sheds.snapshots.create({ shed: 'web', name, memory: true })
  })
  afterAll(async () => {
    await rooms.sheds.remove('web', { force: true })
    await rooms[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
    await fake[Symbol.asyncDispose]()
  })

  /** Both are there before and after, and never one for a moment. */
  function swap(): void {
    const { dir } = rooms.layout.snapshot('mem')
    const other = rooms.layout.snapshot('other').dir
    renameSync(dir, `${dir}-before`)
    renameSync(other, dir)
    renameSync(`${dir}-before`, other)
  }

  async function expectNothingMade(making: Promise<unknown>): Promise<void> {
    await expect(making).rejects.toMatchObject({
      code: 'SNAPSHOT_NOT_FOUND',
      message: 'the snapshot mem was removed meanwhile',
    })
    expect((await rooms.sheds.list()).map(({ name }) => name)).toEqual(['web'])
    expect((await rooms.sheds.volumes.list()).map(({ name }) => name)).toEqual(['data'])
    expect(await readdir(rooms.layout.staging)).toEqual([])
    swap()
  }

  const request = {
    name: 'copy',
    from_snapshot: 'mem',
    env: {},
    labels: {},
    volumes: [],
    secrets: [],
    start: true,
    pull: 'never' as const,
  }

  test('after its volumes were cloned: none of them is kept', async () => {
    const forget = rooms.events.subscribe(({ type }) => type === 'volume.created' && swap())
    try {
      await expectNothingMade(rooms.sheds.create({ ...request, cold_boot: true }))
    } finally {
      forget()
    }
  })

  test('after its disk was cloned, before its memory is opened: no VM goes on', async () => {
    let at = 0
    const onProgress = ({ phase }: { phase: string }) => {
      if (phase === 'wake' && at++ === 0) swap()
    }
    await expectNothingMade(rooms.sheds.create(request, { onProgress }))
    expect(at).toBeGreaterThan(0)
  })

  test('after one of its files was read for a backup: there is none', async () => {
    const url = join(directory.path, 'backups')
    let at = 0
    const onProgress = ({ phase }: { phase: string }) => {
      if (phase === 'backup' && at++ === 0) swap()
    }
    const call = {
      ...{ params: { snapshot: 'mem' }, body: { to: url }, query: undefined, upload: undefined },
      ...{ signal: new AbortController().signal, onProgress },
    }
    await expectNothingMade(backupSnapshot(rooms, call))
    expect(at).toBeGreaterThan(0)
    expect((await rooms.backups.list({ url })).backups).toEqual([])
  })

  test('after its record was read for an export: nothing is sent', async () => {
    class Swapping extends Transitions {
      override async run<T>(name: string, work: () => Promise<T>): Promise<T> {
        swap()
        return await super.run(name, work)
      }
    }
    const { layout, images } = rooms
    const context = { layout, images, snapshotTurns: new Swapping(60_000), snapshotUses: new Uses() }
    await expectNothingMade(exportSnapshot(context, 'mem', { withImage: false }))
  })
})
