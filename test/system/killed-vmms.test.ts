import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWeb } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { needs } from '../support/needs.ts'
import { runScript } from '../support/node-script.ts'
import { openRoomsOn } from '../support/open-rooms.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const script = new URL('./killed-vmms.testkit.ts', import.meta.url)

/** What is copied, whose VMM is killed; what is found when that was the first time, or nobody was left to be killed, and what is found besides: sheds, snapshots. */
const outcomes = [
  ['snapshot', 'web/vmm.lock', ['web(crashed)', 'web disks,with'], ['web(crashed) disks', 'web(crashed) disks,with']],
  ['create', 'copy/vmm.lock', ['mem', 'copy mem'], ['copy(crashed) mem']],
  ['fork', 'copy/vmm.lock', ['copy(crashed) mem', 'copy,fork mem'], ['copy(crashed),fork mem']],
  ['fork', 'copy/heir.lock', ['copy mem', 'copy,fork mem'], []],
  ['fork', 'fork/vmm.lock', ['copy mem', 'copy,fork mem'], ['copy,fork(crashed) mem']],
] as const

/** A fake QEMU keeps count of what a guest has written, so RAM that goes on with another disk is noticed. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a running shed is copied', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  test.concurrent.each(outcomes)(
    '%s, and kill -9 of who has %s, at any step: a copy is whole or not there, and who has died has crashed',
    async (verb, lock, always, besides) => {
      await using place = await temporaryDirectory()
      await prepare(place.path, verb)
      const { stdout, code } = await runScript(script, [verb, lock, place.path], fake.env)
      expect(code, stdout).toBe(0)
      const found = [...new Set([...stdout.matchAll(/^found (.*)$/gm)].map(([, what]) => what))]
      expect(found).toEqual(expect.arrayContaining([...always]))
      expect([...always, ...besides]).toEqual(expect.arrayContaining(found))
      // Nobody is told of a socket that is gone, nor left without something to do.
      for (const [, how = ''] of stdout.matchAll(/^ended (.*)$/gm)) {
        expect(how).toMatch(/^(done$|SHED_NOT_RUNNING |MACHINE_FAILED ).*(?<!undefined)$/)
        expect(how).not.toMatch(/EPIPE|EACCES|monitor/)
      }
      await removeSheds(place.path)
    },
  )
})

async function prepare(directory: string, verb: string): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  const { volumes, snapshots } = rooms.sheds
  await volumes.create({ name: 'data', bytes: 64 * 2 ** 20 })
  await createWeb(rooms, { volumes: [{ volume: 'data', path: '/data', read_only: false }] })
  if (verb === 'snapshot') return
  await snapshots.create({ shed: 'web', name: 'mem', memory: true })
  await rooms.sheds.remove('web', { force: true })
  await volumes.remove('data', { force: true })
  if (verb === 'fork') {
    await rooms.create('copy', { image: undefined, from_snapshot: 'mem', memory_bytes: 64 * 2 ** 20, start: true })
  }
}

async function removeSheds(directory: string): Promise<void> {
  await using rooms = await openRoomsOn(directory)
  for (const { name } of await rooms.sheds.list()) await rooms.sheds.remove(name, { force: true })
}
