import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWeb } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { type FakeQemu, fakeQemu } from '../support/fake-qemu.ts'
import { needs } from '../support/needs.ts'
import { runScript } from '../support/node-script.ts'
import { openRoomsOn } from '../support/open-rooms.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const script = new URL('./cut-copies.testkit.ts', import.meta.url)

/** A fake QEMU keeps count of what a guest has written, so RAM that goes on with another disk is noticed. */
describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('copies of a running shed', () => {
  let fake: FakeQemu

  beforeAll(async () => {
    fake = await fakeQemu()
  })
  afterAll(async () => await fake[Symbol.asyncDispose]())

  test('that were being made when the daemon was killed, at any step, are whole or not there; the shed goes on', async () => {
    await using place = await temporaryDirectory()
    {
      await using rooms = await openRoomsOn(place.path)
      await rooms.sheds.volumes.create({ name: 'data', bytes: 64 * 2 ** 20 })
      await createWeb(rooms, { volumes: [{ volume: 'data', path: '/data', read_only: false }] })
    }
    const found = new Set<string>()
    for (let step = 0; ; step++) {
      const { stdout, code, signal } = await runScript(script, [String(step), place.path], fake.env)
      for (const [, sheds = ''] of stdout.matchAll(/^found (.*)$/gm)) found.add(sheds)
      if (signal === 'SIGKILL') continue
      expect(code).toBe(0)
      break
    }
    expect(found).toEqual(new Set(['web', 'copy,web', 'copy,fork,web']))
    await using rooms = await openRoomsOn(place.path)
    await rooms.sheds.remove('web', { force: true })
  })
})
