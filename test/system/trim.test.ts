import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { fsckExt4, withMountedExt4 } from '../support/ext4-mount.ts'
import { toolsFor } from '../support/filesystems.ts'
import { type FilesystemType, type Mounted, mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'
import { noise } from '../support/noise.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { snapshotOfDirectory } from '../support/snapshot-tree.ts'

const MiB = 2 ** 20
const diskTools = ['mke2fs', 'e2fsck', 'debugfs', ...busyboxImageTools]

/** What the filesystem itself may take or give meanwhile. */
const slack: Record<FilesystemType, number> = { btrfs: 0, xfs: 256 * 1024, ext4: 256 * 1024 }

for (const type of ['btrfs', 'xfs', 'ext4'] as const) {
  describe.runIf(needs({ root: true, tools: [...diskTools, ...toolsFor(type)] }))(
    `trim of sheds at rest on ${type}`,
    () => {
      let mounted: Mounted
      let rooms: OpenedRooms
      beforeAll(async () => {
        mounted = await mountFresh(type, 400 * MiB)
        rooms = await openRoomsOn(mounted.directory)
        await rooms.loadMini()
      })
      afterAll(async () => {
        await rooms[Symbol.asyncDispose]()
        await mounted[Symbol.asyncDispose]()
      })

      test('what was deleted in the guest comes back, and nothing else changes', async () => {
        await rooms.create('web')
        const { upper } = rooms.layout.shed('web')
        await withMountedExt4(
          upper,
          (directory) => {
            for (const at of [0, 1, 2, 3, 4, 5]) {
              writeFileSync(join(directory, `file${at}`), noise(2 * MiB, at))
              // btrfs gives an extent back with its last block: each file is to have its own.
              execFileSync('sync', ['-f', directory])
            }
            for (const at of [1, 2, 4]) rmSync(join(directory, `file${at}`))
          },
          'rw,nodiscard',
        )
        await fsckExt4(upper)
        const content = () => withMountedExt4(upper, (directory) => snapshotOfDirectory(directory), 'ro,noload')
        const before = await content()
        const size = statSync(upper).size

        const dry = await rooms.usage.trim({ names: ['web'], dry_run: true })
        const [planned] = dry.items
        expect(planned).toMatchObject({ name: 'web', by: 'host' })
        expect(planned?.punched_bytes).toBeGreaterThanOrEqual(6 * MiB)
        expect(dry.totals.reclaimed_bytes).toBeUndefined()
        expect(await content()).toEqual(before)

        const { items, totals } = await rooms.usage.trim({ names: ['web'], dry_run: false })
        const [item] = items
        expect(item?.punched_bytes).toBe(planned?.punched_bytes)
        const gone = (item?.before.exclusive_bytes ?? 0) - (item?.after?.exclusive_bytes ?? 0)
        expect(Math.abs(gone - (totals.reclaimed_bytes ?? 0))).toBeLessThanOrEqual(slack[type])
        expect(totals.reclaimed_bytes).toBeGreaterThan(type === 'btrfs' ? 4 * MiB : 6 * MiB - slack[type])
        expect(statSync(upper).size).toBe(size)
        await fsckExt4(upper)
        expect(await content()).toEqual(before)
        expect((await rooms.usage.trim({ names: [], dry_run: false })).items[0]?.punched_bytes).toBe(0)
      })

      // It is about what is on the disk, wherever that is.
      if (type !== 'ext4') return

      test('a disk whose journal has to be replayed, or that is no filesystem, is left as it is, and said to be', async () => {
        await rooms.create('crashed')
        const { upper } = rooms.layout.shed('crashed')
        execFileSync('debugfs', ['-w', '-R', 'feature needs_recovery', upper], { stdio: 'ignore' })
        const before = readFileSync(upper)
        const look = async () => await rooms.usage.trim({ names: ['crashed'], dry_run: false })
        const { items, skipped } = await look()
        expect(items).toEqual([])
        expect(skipped).toEqual([
          {
            kind: 'shed',
            name: 'crashed',
            reason: expect.stringMatching(/journal has to be replayed.*start the shed/),
          },
        ])
        expect(readFileSync(upper).equals(before)).toBe(true)
        writeFileSync(upper, noise(64 * MiB, 'no filesystem'))
        expect((await look()).skipped[0]?.reason).toContain('no ext4 superblock')
        await expect(rooms.usage.trim({ names: ['nobody'], dry_run: true })).rejects.toMatchObject({
          code: 'SHED_NOT_FOUND',
        })
      })
    },
  )
}
