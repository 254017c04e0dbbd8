import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { runScript, scriptCommand } from '../../../test/support/node-script.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { cloneFile, filesystemOf, lockFile, runTool } from '../../host/index.ts'
import { setUpBtrfs } from './set-up-btrfs.ts'

const MiB = 2 ** 20
const killedSetUp = new URL('./killed-set-up.testkit.ts', import.meta.url)

let parent: TemporaryDirectory
let data: string
const setUp = (size: number, options: Partial<Parameters<typeof setUpBtrfs>[0]> = {}) =>
  setUpBtrfs({ dataDirectory: data, bytes: size, ...options })

beforeEach(async () => {
  parent = await temporaryDirectory()
  data = join(parent.path, 'data')
})
afterEach(async () => {
  await runTool('umount', [data], { okCodes: [0, 32] })
  await parent[Symbol.asyncDispose]()
})

describe.runIf(needs({ root: true, tools: ['mkfs.btrfs', 'btrfs', 'mount', 'umount', 'losetup'] }))(
  'set-up of a btrfs',
  () => {
    test('puts a data directory onto it, compressed, mounts it again, and lets it grow', async () => {
      await mkdir(data)
      await writeFile(join(data, 'config.toml'), '[cache]\nmax_used = "1GB"\n')
      expect(await setUp(300 * MiB)).toEqual({
        data_directory: data,
        file: `${data}.btrfs`,
        bytes: 300 * MiB,
        outcome: 'created',
      })
      expect(await optionsOfMount(data)).toMatch(/noatime.*compress=zstd:1/)
      expect((await stat(data)).mode & 0o7777).toBe(0o700)
      expect((await stat(`${data}.btrfs`)).mode & 0o7777).toBe(0o600)
      expect(await readdir(data)).toEqual(['config.toml'])
      await writeFile(join(data, 'disk'), Buffer.alloc(20 * MiB, 'compressible'))
      expect(await cloneFile(join(data, 'disk'), join(data, 'clone'))).toMatchObject({ strategy: 'ficlone' })
      expect((await stat(`${data}.btrfs`)).blocks * 512).toBeLessThan(20 * MiB)

      expect((await setUp(300 * MiB)).outcome).toBe('unchanged')
      expect((await setUp(400 * MiB)).outcome).toBe('grown')
      expect((await filesystemOf(data)).totalBytes).toBe(400 * MiB)
      await expect(setUp(300 * MiB)).rejects.toMatchObject({ code: 'INVALID_REQUEST', message: /can only grow/ })

      await runTool('umount', [data])
      await expect(setUp(300 * MiB)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
      expect((await setUp(400 * MiB)).outcome).toBe('mounted')
      await runTool('umount', [data])
      expect((await setUp(500 * MiB)).outcome).toBe('grown')
      expect((await readFile(join(data, 'clone'))).subarray(0, 12).toString()).toBe('compressible')
    })

    test('has it mounted at boot, once, and by nothing else than was there', async () => {
      const etc = join(parent.path, 'etc')
      await mkdir(etc)
      await writeFile(join(etc, 'fstab'), '/dev/sda1 / ext4 defaults 0 1')
      const { boot_entry } = await setUp(300 * MiB, { etc, atBoot: 'fstab' })
      expect(boot_entry).toBe(join(etc, 'fstab'))
      await setUp(300 * MiB, { etc, atBoot: 'fstab' })
      const options = 'loop,noatime,compress=zstd:1,discard=async,nofail'
      const table = await readFile(join(etc, 'fstab'), 'utf8')
      expect(table).toBe(`/dev/sda1 / ext4 defaults 0 1\n${data}.btrfs ${data} btrfs ${options} 0 0\n`)
      await runTool('umount', [data])
      await runTool('mount', ['-a', '-T', join(etc, 'fstab'), '-t', 'btrfs'])
      expect((await filesystemOf(data)).type).toBe('btrfs')

      await writeFile(join(etc, 'fstab'), `/dev/sdb ${data} xfs defaults 0 0\n`)
      await expect(setUp(300 * MiB, { etc, atBoot: 'fstab' })).rejects.toMatchObject({ code: 'FILE_EXISTS' })

      const { boot_entry: unit = '' } = await setUp(300 * MiB, { etc, atBoot: 'systemd' })
      expect(unit).toBe(
        join(etc, 'systemd/system', `${data.slice(1).replaceAll('-', '\\x2d').replaceAll('/', '-')}.mount`),
      )
      expect(await readFile(unit, 'utf8')).toContain(`\nWhat=${data}.btrfs\nWhere=${data}\nType=btrfs\n`)
    })

    test('refuses what it would hide, a daemon at work, another mount and what does not fit', async () => {
      const layout = dataLayout(data)
      await mkdir(join(layout.sheds, 'web'), { recursive: true })
      await writeFile(layout.indexDb, '')
      await writeFile(layout.shed('web').record, '{}')
      await expect(setUp(300 * MiB)).rejects.toMatchObject({
        code: 'DATA_DIRECTORY_NOT_EMPTY',
        message: expect.stringContaining(layout.shed('web').record),
      })
      await using fresh = await temporaryDirectory()
      const other = { dataDirectory: join(fresh.path, 'other') }
      await mkdir(other.dataDirectory)
      {
        using _ = await lockFile(dataLayout(other.dataDirectory).lock, { mode: 'exclusive', wait: true })
        await writeFile(dataLayout(other.dataDirectory).lock, '4711\n')
        const attempt = setUp(300 * MiB, other)
        await expect(attempt).rejects.toMatchObject({
          code: 'DATA_DIRECTORY_IN_USE',
          hint: 'end that daemon first: kill 4711',
        })
      }
      await expect(setUp(2 ** 50, other)).rejects.toMatchObject({ code: 'NO_SPACE' })
      await expect(setUp(100 * MiB, other)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
      expect(await readdir(fresh.path)).toEqual(['other'])

      await runTool('mount', ['-t', 'tmpfs', 'none', data])
      await expect(setUp(300 * MiB)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_IN_USE', message: /tmpfs/ })
    })

    test('refuses users who may not mount, and hosts without btrfs-progs, before it has done anything', async () => {
      const size = `${300 * MiB}`
      const nobody = await runScript(killedSetUp, ['-1', data, size, '65534'])
      expect(nobody.stdout).toBe('PERMISSION_DENIED: run: sudo cowshed setup --btrfs 300MiB\n')
      const command = await scriptCommand(killedSetUp, ['-1', data, size])
      const without = 'mount -t tmpfs none /usr/sbin && exec "$0" "$@"'
      const { stdout } = await runTool('unshare', ['-m', 'sh', '-c', without, ...command])
      expect(stdout.toString()).toMatch(/^TOOL_NOT_FOUND: .*btrfs-progs/)
      expect(await readdir(parent.path)).toEqual([])
    })

    test('that is killed before any of its steps can be run again, and loses nothing', async () => {
      const made = await killedAtEveryStep(() => 300 * MiB)
      await writeFile(join(data, 'kept'), 'kept')
      const grown = await killedAtEveryStep((n) => (310 + n * 10) * MiB)
      expect([made, grown]).toEqual(['mount losetup btrfs', 'truncate losetup btrfs'])
      expect(await readFile(join(data, 'kept'), 'utf8')).toBe('kept')
      expect(await readdir(parent.path)).toEqual(['data', 'data.btrfs'])
    })
  },
)

/** @returns the steps of the one that lived to its end */
async function killedAtEveryStep(sizeAt: (n: number) => number): Promise<string> {
  for (let n = 0; ; n++) {
    const { code, signal, stdout } = await runScript(killedSetUp, [`${n}`, data, `${sizeAt(n)}`])
    if (code !== 0) expect(signal).toBe('SIGKILL')
    else {
      expect((await filesystemOf(data)).totalBytes).toBe(sizeAt(n))
      return stdout.trim().replaceAll('\n', ' ')
    }
  }
}

async function optionsOfMount(path: string): Promise<string> {
  return (await readFile('/proc/self/mounts', 'utf8')).split('\n').find((line) => line.split(' ')[1] === path) ?? ''
}
