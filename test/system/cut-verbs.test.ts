import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dataLayout } from '../../src/base/index.ts'
import { runTool, sweepStaging } from '../../src/host/index.ts'
import { bringTo, createWeb, expectAtRest } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { toolsFor } from '../support/filesystems.ts'
import { keptDisks } from '../support/keep-disk.ts'
import { mountFile, mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'
import { runScript } from '../support/node-script.ts'
import { openRoomsOn } from '../support/open-rooms.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const script = new URL('./cut-verbs.testkit.ts', import.meta.url)
const tools = ['mke2fs', ...busyboxImageTools]

/** Each verb is cut off at each of its steps; a fake QEMU keeps count of what a guest has written, so RAM that goes on with another disk is noticed. */
describe.runIf(needs({ tools }))('a shed whose transition is cut off at any step', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  const run = async (...args: string[]) => {
    const { stdout, code, signal } = await runScript(script, args, fake.env)
    const found = [...stdout.matchAll(/^found (.*)$/gm)].map(([, status]) => status ?? '')
    return { code, signal, found }
  }

  test.concurrent.each([
    ['create', ['none', 'running']],
    ['start', ['stopped', 'running']],
    ['sleep', ['running', 'cold']],
    ['compress', ['running', 'cold']],
    ['wake', ['cold', 'running']],
    ['stop', ['running', 'stopped']],
    ['grow', ['running', 'stopped']],
    ['delete', ['running', 'none']],
  ])('%s, and kill -9 of the daemon: it is as it was, or as it was to be', async (verb, all) => {
    await using place = await temporaryDirectory()
    await makeWeb(place.path)
    const found = new Set<string>()
    for (let cut = 0; ; cut++) {
      const end = await run(verb, 'daemon', String(cut), place.path)
      for (const status of end.found) found.add(status)
      if (end.signal === 'SIGKILL') continue
      expect(end.code).toBe(0)
      break
    }
    expect(found).toEqual(new Set(all))
    await removeWeb(place.path)
  })

  test.concurrent.each([
    ['sleep', ['running', 'cold', 'crashed']],
    ['wake', ['running', 'cold', 'crashed']],
    ['stop', ['running', 'stopped']],
    ['delete', ['running', 'none']],
  ])('%s, and kill -9 of the VMM: it is as it was to be, or has crashed', async (verb, all) => {
    await using place = await temporaryDirectory()
    await makeWeb(place.path)
    const { code, found } = await run(verb, 'vmm', '', place.path)
    expect([code, new Set(found)]).toEqual([0, new Set(all)])
    await removeWeb(place.path)
  })

  const able = needs({ root: true, tools: toolsFor('ext4') })
  test.runIf(able)('a crash of the host, which loses what was not synced: it sleeps or has crashed', async () => {
    await using disk = await mountFresh('ext4', 128 * 2 ** 20)
    await makeWeb(disk.directory)
    // The kernel that the test has put there.
    await runTool('sync', ['-f', disk.directory])
    for (const [verb, all] of [
      ['sleep', ['crashed', 'cold']],
      ['compress', ['cold']],
      ['wake', ['crashed', 'cold']],
    ] as const) {
      expect(await run(verb, 'host', disk.backing, disk.directory)).toMatchObject({ code: 0 })
      const found = new Set<string>()
      for (const kept of await keptDisks(disk.backing, verb)) found.add(await afterCrash(kept))
      expect([verb, found]).toEqual([verb, new Set(all)])
    }
    await removeWeb(disk.directory)
  })
})

/** `web` runs then, and nobody holds it. */
async function makeWeb(directory: string): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  await createWeb(rooms)
}

async function removeWeb(directory: string): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  for (const { name } of await rooms.sheds.list()) await rooms.sheds.remove(name, { force: true })
}

/** A host begins again with a disk that was kept. @returns what `web` is then; it can be had to run */
async function afterCrash(backing: string): Promise<string> {
  await using disk = await mountFile(backing)
  return await runAgain(disk.directory)
}

async function runAgain(directory: string): Promise<string> {
  await sweepStaging(dataLayout(join(directory, 'data')))
  await using rooms = await openRoomsOn(directory)
  const { status } = await expectAtRest(rooms)
  await bringTo(rooms, 'running')
  await expectAtRest(rooms)
  await rooms.sheds.remove('web', { force: true })
  return status
}
