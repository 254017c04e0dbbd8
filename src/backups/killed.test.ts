import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runScript } from '../../test/support/node-script.ts'
import { type Host, makeHost, restoreTo, writeChunks } from './backups.testkit.ts'
import { listBackups } from './repository/backups.ts'
import { verifyBackups } from './verify-backups.ts'

/** No backup and no prune of so little writes and removes so often. */
const manySteps = 40

test('kill -9 before any write of a backup and of a prune leaves whole backups and no others', async () => {
  await using host = await makeHost()
  await writeChunks(host.path('disk'), [1, 2])
  await untilDone(host, 'backup', async (count) => expect(count).toBe(0))
  await writeChunks(host.path('disk'), [2, 3, undefined, 4])
  await untilDone(host, 'backup', async (count) => expect(count).toBe(1))
  await untilDone(host, 'prune', async (count) => expect([1, 2]).toContain(count))
  const repository = await host.repository()
  const { backups } = await listBackups(repository)
  expect(backups).toHaveLength(1)
  const restored = await restoreTo(host, repository, backups[0]?.id ?? '', 'restored')
  expect((await readFile(join(restored, 'disk'))).equals(await readFile(host.path('disk')))).toBe(true)
})

/** Kills it before its first step, then before its second, until it gets to its end. */
async function untilDone(host: Host, what: 'backup' | 'prune', look: (count: number) => Promise<void>): Promise<void> {
  for (let limit = 0; limit < manySteps; limit++) {
    const { signal, stdout } = await runScript(new URL('./killed-backup.testkit.ts', import.meta.url), [
      what,
      String(limit),
      host.path(''),
    ])
    const { backups, broken } = await listBackups(await host.repository())
    expect(broken).toEqual([])
    if (stdout === 'done') return
    expect(signal).toBe('SIGKILL')
    // The lock of the dead is still there; whoever only looks is not kept out by it.
    expect((await verifyBackups({ repository: await looking(host) })).damaged).toEqual([])
    await look(backups.length)
  }
  throw new Error(`${what} never got to its end`)
}

async function looking(host: Host) {
  return { ...(await host.repository()), lockTimes: { refreshMs: 60_000, staleMs: -1, waitMs: 0 } }
}
