import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDigest } from '../../src/base/index.ts'
import type { ImageDetail, Shed } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type CommandResult, type Cowshed, openCowshed } from '../support/cowshed.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'
import type { TarPiece } from '../support/tar-builder.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })

/** What the guest prints on its console about a boot that failed reaches the user, and nothing else is left of it. */
describe.runIf(able)('a boot that fails', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    await load('mini:1', [])
  }, 600_000)
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  async function load(ref: string, more: readonly TarPiece[]): Promise<void> {
    const archive = join(cowshed.layout.root, '../image.tar')
    await writeFile(archive, busyboxArchive(ref, more))
    await cowshed.ok('image', 'load', archive)
  }

  const status = async (name: string) => await cowshed.json<Shed>('inspect', name)
  const upper = (name: string) => cowshed.layout.shed(name).upper

  /** The error names the failure and quotes the console. */
  function expectFailure({ code, stderr }: CommandResult, failure: string): void {
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(`did not boot: boot failure ${failure}`),
    })
    expect(stderr).toMatch(/the end of its console:\n( {2}\| .*\n)*? {2}\| cowshed: boot failure/)
  }

  async function expectNothingLeft(): Promise<void> {
    expect(await cowshed.vmms()).toEqual([])
    expect(await cowshed.staging()).toEqual([])
    expect((await readdir(cowshed.runDirectory)).filter((file) => !file.startsWith('daemon'))).toEqual([])
  }

  test('on an upper that is no ext4, or that is no more than the look of one, keeps the shed, stopped', async () => {
    await cowshed.ok('create', 'upper', '--image', 'mini:1', '--no-start')
    await overwrite(upper('upper'), { from: 2048, bytes: 1 << 20 })
    expectFailure(await cowshed.run('start', 'upper'), '6: cannot mount the upper (ext4): Structure needs cleaning')
    await overwrite(upper('upper'), { from: 0, bytes: 1 << 20 })
    expectFailure(await cowshed.run('start', 'upper'), '5: the upper is not ext4')
    expect(await status('upper')).toMatchObject({
      status: 'stopped',
      status_reason: expect.stringContaining('boot failure 5'),
    })
    await expectNothingLeft()
    // What is broken is the disk: a reset mends it.
    await cowshed.ok('reset', '--force', 'upper')
    await cowshed.ok('start', 'upper')
    await cowshed.ok('delete', '--force', 'upper')
  })

  test('for want of an upper says which file is not there', async () => {
    await cowshed.ok('create', 'gone', '--image', 'mini:1', '--no-start')
    await rm(upper('gone'))
    const { code, stderr } = await cowshed.run('start', 'gone')
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(upper('gone')) })
    expect((await status('gone')).status).toBe('stopped')
    await expectNothingLeft()
    await cowshed.ok('reset', '--force', 'gone')
    await cowshed.ok('start', 'gone')
    await cowshed.ok('delete', '--force', 'gone')
  })

  test('on an init that cannot be run leaves nothing of a create but the console', async () => {
    await load('bad-init:1', [
      { path: 'sbin', type: 'directory', mode: 0o755 },
      { path: 'sbin/init', mode: 0o755, content: 'not a program of any kind' },
    ])
    const created = await cowshed.run('create', 'init', '--image', 'bad-init:1')
    expectFailure(created, "12: cannot run the image's /sbin/init: Exec format error")
    await expectNothingLeft()
    expect(await cowshed.json('ls')).toEqual({ sheds: [] })
    const kept = /the whole console is kept: (.*)/.exec(created.stderr)?.[1] ?? ''
    expect(await readFile(kept, 'utf8')).toContain('cowshed: boot failure 12')
    expect(await readdir(cowshed.layout.failures)).toHaveLength(1)
  })

  test('would be on a lower that is garbage, so it is made anew', async () => {
    const { manifest_digest, lower_profile, lower_form } = await cowshed.json<ImageDetail>('image', 'inspect', 'mini:1')
    const { layout } = cowshed
    const place = lower_form === 'parts' ? layout.lowerBootstrap : layout.lower
    const lower = place(lower_profile ?? 'plain', parseDigest(manifest_digest ?? ''))
    const { size } = await stat(lower)
    await overwrite(lower, { from: 0, bytes: size })
    await cowshed.ok('create', 'lower', '--image', 'mini:1')
    expect(await cowshed.ok('exec', 'lower', '--', 'cat', '/srv/kept')).toBe('kept\n')
    await cowshed.ok('delete', '--force', 'lower')
    await expectNothingLeft()
  })
})

async function overwrite(path: string, { from, bytes }: { from: number; bytes: number }): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(Buffer.alloc(bytes, 0xa5), 0, bytes, from)
}
