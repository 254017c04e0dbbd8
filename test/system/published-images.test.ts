import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ImageDetail, PruneReport, PublishImageReply } from '../../src/contract/index.ts'
import { runTool } from '../../src/host/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'
import { registryTools, startRegistry, type TestRegistry } from '../support/registry.ts'

const tools = ['qemu-system-x86_64', 'mke2fs', 'skopeo', ...registryTools, ...busyboxImageTools, ...kernelTools]

/** Several boots of emulated VMs, on a machine that has other work too. */
const bootsMs = 300_000

/** From one host to another by way of a registry, as users do it: each test goes on where the one before it ended. */
describe.runIf(needs({ tools }))('a published image', () => {
  let [publisher, host]: Cowshed[] = []
  let registry: TestRegistry
  let ref = ''
  /** As the publisher's host builds lowers, which depends on its filesystem. */
  let profile = ''

  beforeAll(async () => {
    registry = await startRegistry()
    publisher = await openCowshed()
    host = await openCowshed()
    ref = `${registry.host}/team/mini:1`
    const archive = join(publisher.layout.root, '..', 'mini.tar')
    await writeFile(archive, busyboxArchive())
    await publisher.ok('image', 'load', archive)
  })
  afterAll(async () => {
    await publisher?.[Symbol.asyncDispose]()
    await host?.[Symbol.asyncDispose]()
    await registry[Symbol.asyncDispose]()
  })

  test('is put into a registry, where other tools see the image alone', async () => {
    const image = await on(publisher).json<ImageDetail>('image', 'inspect', 'mini:1')
    const published = await on(publisher).json<PublishImageReply>('image', 'publish', 'mini:1', ref, '--insecure')
    expect(published).toMatchObject({ destination: ref, manifest_digest: image.manifest_digest })
    profile = published.profile
    const source = ['--tls-verify=false', `docker://${ref}`]
    const { stdout } = await runTool('skopeo', ['inspect', ...source])
    expect(JSON.parse(stdout.toString())).toMatchObject({ Layers: image.layer_list.map(({ digest }) => digest) })
    expect((await on(publisher).ok('image', 'publish', 'mini:1', ref, '--insecure')).trim()).toBe(
      `${registry.host}/team/mini@${published.digest}`,
    )
  })

  test(
    'is pulled by another host, and its sheds run with no registry and no layers',
    async () => {
      await on(host).ok('image', 'pull', ref, '--insecure')
      await registry[Symbol.asyncDispose]()
      expect(await on(host).ok('image', 'ls')).toContain('boot-only')
      expect(await on(host).ok('image', 'inspect', ref)).toContain('not here (boot-only)')
      expect((await on(host).json<ImageDetail>('image', 'inspect', ref)).lower_profile).toBe(profile)
      await on(host).ok('create', 'web', '--image', ref)
      expect(await on(host).ok('exec', 'web', '--', 'sh', '-c', 'echo it runs')).toBe('it runs\n')
      await on(host).ok('stop', 'web')
      await on(host).ok('system', 'prune', '--orphans', '--cache-only', '--force')
      await on(host).ok('start', 'web')
      expect(await on(host).ok('exec', 'web', '--', 'cat', '/etc/hostname')).toBe('web\n')
      await on(host).ok('image', 'verify')
    },
    bootsMs,
  )

  test('cannot be pushed or saved there, and what to type is said', async () => {
    for (const command of [
      ['push', ref],
      ['save', ref, '-o', '/tmp/no-such-file.tar'],
      ['publish', ref, `${registry.host}/other:1`],
    ]) {
      const { code, stderr } = await on(host).run('image', ...command)
      expect([code, stderr]).toEqual([4, expect.stringContaining(`cowshed image pull --with-layers ${ref}`)])
    }
    await on(host).ok('delete', 'web', '--force')
  })

  test(
    'at home, can do without its layers when it has a lower',
    async () => {
      const before = await on(publisher).run('image', 'prune', '--layers', '--dry-run')
      expect(before.stdout).toContain('it has no lower yet')
      await on(publisher).ok('create', 'web', '--image', 'mini:1')
      const refused = await on(publisher).run('image', 'prune', '--layers', '--json')
      expect(refused.code).toBe(2)
      const report = await on(publisher).json<PruneReport>('image', 'prune', '--layers', '--force')
      expect(report.items).toMatchObject([{ kind: 'layers', name: 'mini:1' }])
      await on(publisher).ok('stop', 'web')
      await on(publisher).ok('image', 'prune', '--cache-only', '--force')
      await on(publisher).ok('start', 'web')
      expect((await on(publisher).json<ImageDetail>('image', 'inspect', 'mini:1')).boot_only).toBe(true)
      await on(publisher).ok('delete', 'web', '--force')
    },
    bootsMs,
  )
})

function on(cowshed: Cowshed | undefined): Cowshed {
  if (cowshed === undefined) throw new Error('there is no such host')
  return cowshed
}
