import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isProblem } from '../../src/base/index.ts'
import type { VolumeMount } from '../../src/contract/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { openCowshed } from '../support/cowshed.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const size = 64 * 2 ** 20

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))(
  'volumes of sheds that are stopped',
  { timeout: 240_000 },
  () => {
    let directory: TemporaryDirectory
    let rooms: OpenedRooms
    beforeAll(async () => {
      directory = await temporaryDirectory()
      rooms = await openRoomsOn(directory.path)
      await rooms.loadMini()
    })
    afterAll(async () => {
      await rooms[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    })

    const make = (name: string) => rooms.sheds.volumes.create({ name, bytes: size })

    test('whatever is asked at once, none has a writer and anybody else, and none is gone that a shed has', async () => {
      const { sheds } = rooms
      const names = { sheds: ['a', 'b', 'c'], volumes: ['x', 'y'] }
      // Not random, but in no order that anybody thought of.
      let state = 4711
      const pick = <T>(of: readonly T[]): T => {
        state = (state * 48_271) % 0x7fff_ffff
        return of[state % of.length] as T
      }
      const steps: readonly (() => Promise<unknown>)[] = [
        () => make(pick(names.volumes)),
        () => rooms.create(pick(names.sheds), { volumes: [mount(pick(names.volumes), pick([true, false]))] }),
        () => sheds.attachVolume(pick(names.sheds), mount(pick(names.volumes), pick([true, false]))),
        () => sheds.attachVolume(pick(names.sheds), mount(pick(names.volumes), pick([true, false]))),
        () => sheds.detachVolume(pick(names.sheds), pick(names.volumes)),
        () => sheds.volumes.remove(pick(names.volumes), { force: false }),
        () => sheds.volumes.resize(pick(names.volumes), size),
        () => sheds.remove(pick(names.sheds), { force: false }),
      ]
      const refusals = new Set<string>()
      for (let round = 0; round < 30; round++) {
        const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => pick(steps)()))
        for (const outcome of outcomes) {
          if (outcome.status === 'fulfilled') continue
          expect(isProblem(outcome.reason), String(outcome.reason)).toBe(true)
          refusals.add((outcome.reason as { code: string }).code)
        }
        const volumes = new Map((await sheds.volumes.list()).map((volume) => [volume.name, volume]))
        for (const shed of await sheds.list()) {
          for (const { volume } of shed.volumes)
            expect(volumes.get(volume)?.attached_to.map((each) => each.shed)).toContain(shed.name)
        }
        for (const { attached_to: who } of volumes.values()) {
          expect(who.length <= 1 || who.every(({ read_only }) => read_only), JSON.stringify(who)).toBe(true)
        }
      }
      expect([...refusals]).toEqual(expect.arrayContaining(['VOLUME_IN_USE', 'VOLUME_NOT_FOUND']))
      expect([...refusals].filter((code) => !expected.has(code))).toEqual([])
      for (const { name } of await sheds.list()) await sheds.remove(name, { force: true })
      for (const { name } of await sheds.volumes.list()) await sheds.volumes.remove(name, { force: true })
      expect(await readdir(rooms.layout.staging)).toEqual([])
    })

    test('while a shed cannot be read nothing is taken or given that it may have, and the error names it', async () => {
      await make('data')
      await rooms.create('torn', { volumes: [mount('data', false)] })
      await rooms.create('other')
      const { record } = rooms.layout.shed('torn')
      const whole = await readFile(record)
      await writeFile(record, '')
      const closed = { code: 'RECORD_INVALID', message: expect.stringContaining('torn') }
      await expect(rooms.sheds.volumes.remove('data', { force: true })).rejects.toMatchObject(closed)
      await expect(rooms.sheds.attachVolume('other', mount('data', true))).rejects.toMatchObject(closed)
      await expect(rooms.create('third', { volumes: [mount('data', true)] })).rejects.toMatchObject(closed)
      expect((await rooms.sheds.volumes.list()).map(({ name, status }) => [name, status])).toEqual([
        ['data', 'detached'],
      ])
      await writeFile(record, whole)
      expect(await rooms.sheds.volumes.get('data')).toMatchObject({
        status: 'attached',
        attached_to: [{ shed: 'torn' }],
      })
    })

    test('two records that both say they write to one are found before either starts', async () => {
      const { record } = rooms.layout.shed('other')
      const other = JSON.parse(await readFile(record, 'utf8')) as object
      await writeFile(record, JSON.stringify({ ...other, volumes: [mount('data', false)] }))
      for (const name of ['other', 'torn']) {
        await expect(rooms.sheds.start(name)).rejects.toMatchObject({ code: 'VOLUME_IN_USE' })
        expect((await rooms.sheds.get(name)).status).toBe('stopped')
      }
      await writeFile(record, JSON.stringify(other))
    })

    test('a broken one is shown, taken from its shed, and what is left of it removed by force', async () => {
      await rm(rooms.layout.volume('data').data)
      expect(await rooms.sheds.volumes.get('data')).toMatchObject({ status: 'broken' })
      await expect(rooms.sheds.start('torn')).rejects.toMatchObject({ code: 'RECORD_INVALID' })
      await rooms.sheds.detachVolume('torn', 'data')
      await expect(rooms.sheds.volumes.remove('data', { force: false })).rejects.toMatchObject({
        code: 'RECORD_INVALID',
      })
      await rooms.sheds.volumes.remove('data', { force: true })
      expect(await rooms.sheds.volumes.list()).toEqual([])
    })

    test('a shed has seven at most, each at a place of its own', async () => {
      const names = Array.from({ length: 8 }, (_, number) => `v${number}`)
      for (const name of names) await make(name)
      for (const name of names.slice(0, 7))
        await rooms.sheds.attachVolume('other', { ...mount(name, false), path: `/${name}` })
      await expect(rooms.sheds.attachVolume('other', mount('v7', false))).rejects.toMatchObject({
        code: 'INVALID_REQUEST',
      })
      const samePath = { ...mount('v6', false), path: '/v0' }
      await expect(rooms.sheds.attachVolume('other', samePath)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
      expect((await rooms.sheds.get('other')).volumes.map(({ volume }) => volume)).toEqual(names.slice(0, 7))
    })
  },
)

test.runIf(needs({ tools: ['mke2fs', 'e2fsck'] }))(
  'kill -9 of the daemon while volumes are made, cloned and removed leaves each whole or not there',
  async () => {
    await using cowshed = await openCowshed({ kernel: false })
    await cowshed.ok('volume', 'create', 'source', '--size', '64MiB')
    const requests = [
      ['POST', '/api/volumes', { name: 'made', bytes: size }],
      ['POST', '/api/volumes/source/clone', { name: 'copy' }],
      ['POST', '/api/volumes/source/resize', { bytes: 2 * size }],
      ['DELETE', '/api/volumes/made?force=true', undefined],
      ['DELETE', '/api/volumes/copy?force=true', undefined],
    ] as const
    for (const moment of [1, 4, 9, 16]) {
      await cowshed.ok('volume', 'ls')
      const cut = requests.map(([method, path, body]) => cowshed.request(method, path, body).catch(() => undefined))
      await sleep(moment)
      await cowshed.killDaemon()
      await Promise.all(cut)
      const names = (await cowshed.ok('volume', 'ls', '-q')).split('\n').filter((name) => name !== '')
      expect(names).toContain('source')
      expect(await cowshed.staging()).toEqual([])
      expect((await readdir(cowshed.layout.volumes)).sort()).toEqual(names)
      for (const name of names) await fsckExt4(cowshed.layout.volume(name).data)
    }
  },
)

function mount(volume: string, read_only: boolean): VolumeMount {
  return { volume, path: '/data', read_only }
}

const expected = new Set([
  ...['VOLUME_IN_USE', 'VOLUME_NOT_FOUND', 'VOLUME_ALREADY_EXISTS'],
  ...['SHED_NOT_FOUND', 'SHED_ALREADY_EXISTS', 'INVALID_REQUEST'],
])
