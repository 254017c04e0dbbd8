import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { expectAtRest } from '../support/at-rest.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { fakeWeb } from '../support/fake-web.ts'
import { needs } from '../support/needs.ts'

/** Over a fake QEMU, which keeps count of what a guest has written to RAM and disk; with a real guest: bench/soak/soak-sleep.ts. */
test.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))(
  'a shed that sleeps and wakes fifty times goes on with its RAM each time, and nothing piles up',
  async () => {
    await using web = await fakeWeb()
    const { sheds, layout } = web.rooms
    const { vmmLog, memory } = layout.shed('web')
    const descriptors = () => readdirSync('/proc/self/fd').length
    let atFirst = 0
    for (let cycle = 0; cycle < 50; cycle++) {
      expect((await sheds.stop('web', { timeout_ms: 1000, keep_memory: true })).status).toBe('cold')
      expect((await sheds.wake('web')).status).toBe('running')
      expect(existsSync(memory)).toBe(false)
      if (cycle === 4) atFirst = descriptors()
    }
    await expectAtRest(web.rooms)
    expect(await readFile(vmmLog, 'utf8')).not.toContain('WRONG RESUME')
    expect(descriptors()).toBeLessThan(atFirst + 10)
    expect((await sheds.get('web')).status).toBe('running')
  },
)
