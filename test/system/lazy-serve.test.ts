import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDigest } from '../../src/base/index.ts'
import type {
  ListLazyReply,
  PruneReport,
  PublishImageReply,
  PublishTracesReply,
  UsageReport,
} from '../../src/contract/index.ts'
import { mountedAt, runTool } from '../../src/host/index.ts'
import { openRegistries } from '../../src/wires/index.ts'
import { keystream, pushImage } from '../../src/wires/registry/registry.testkit.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { snapshotOfDirectory, withMountedErofs } from '../support/erofs-mount.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { buildImage, buildLayer, ociArchive } from '../support/image-builder.ts'
import { canPass } from '../support/kernel-passes-files.ts'
import { needs } from '../support/needs.ts'
import { firstMatch, killScript } from '../support/node-script.ts'
import { plainErofsImage } from '../support/plain-erofs-image.ts'
import { registryTools, startRegistry, type TestRegistry } from '../support/registry.ts'

const tools = ['nbdinfo', 'nbdcopy', 'qemu-img', ...registryTools]

const image = buildImage({
  layers: [
    buildLayer([
      { path: 'usr', type: 'directory' },
      { path: 'usr/large', content: keystream(6 << 20) },
    ]),
    buildLayer(Array.from({ length: 60 }, (_, at) => ({ path: `usr/${at}`, content: keystream(20_000, at + 2) }))),
  ],
})

/** `lazy serve` as a user runs it: each test goes on where the one before it ended. */
describe.runIf(needs({ tools }))('a published image is served as a block device', () => {
  let [publisher, host]: Cowshed[] = []
  let registry: TestRegistry
  let proxy: FaultProxy
  let ref = ''
  /** What every byte must be. */
  let lower = ''
  const servers: ChildProcess[] = []

  beforeAll(async () => {
    registry = await startRegistry()
    proxy = await startFaultProxy(registry)
    publisher = await openCowshed({ kernel: false })
    host = await openCowshed({ kernel: false })
    ref = `${proxy.host}/team/app:1`
    const archive = join(publisher.layout.root, '..', 'app.tar')
    await writeFile(archive, ociArchive([{ image, ref: 'app:1' }]))
    await publisher.ok('image', 'load', archive)
    const profile = ['--profile', 'plain']
    const published = await publisher.json<PublishImageReply>(
      'image',
      'publish',
      'app:1',
      ref,
      '--insecure',
      ...profile,
    )
    await publisher.ok('image', 'rm', 'app:1')
    await publisher.ok('system', 'prune', '--cache-only', '--force')
    await publisher.ok('image', 'pull', ref, '--insecure')
    lower = publisher.layout.keptLower(parseDigest(published.manifest_digest))
  })
  afterAll(async () => {
    for (const server of servers) await killScript(server)
    await publisher?.[Symbol.asyncDispose]()
    await host?.[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    await registry[Symbol.asyncDispose]()
  })

  const socket = () => join(on(host).layout.root, '..', 's')
  const copy = () => join(on(host).layout.root, '..', 'copy')

  const file = () => join(on(host).layout.root, '..', 'file')

  const serve = (...options: string[]) => serveAt(/^nbd\S+(?=\n)/, ref, '--nbd', `unix:${socket()}`, ...options)
  const serveFile = (...options: string[]) => serveAt(/^\/\S+(?=\n)/m, ref, '--fuse', file(), ...options)

  /** Starts it, and waits until it says where it is. */
  async function serveAt(said: RegExp, ...words: string[]) {
    const child = on(host).start('lazy', 'serve', '--insecure', ...words)
    servers.push(child)
    return await started(child, said)
  }

  async function started(child: ChildProcess, where: RegExp) {
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const [url] = await firstMatch(child.stdout, where)
    const end = async () => {
      const closed = once(child, 'close')
      child.kill('SIGTERM')
      await closed
      return said
    }
    return { child, url, end, said: () => said }
  }

  async function expectRight(url: string): Promise<void> {
    await runTool('nbdcopy', [url, copy()])
    expect((await readFile(copy())).equals(await readFile(lower))).toBe(true)
  }

  test('to any client, and says what that took', async () => {
    const { url, end } = await serve()
    expect(url).toBe(`nbd+unix:///?socket=${socket()}`)
    const { stdout } = await runTool('nbdinfo', ['--json', url])
    expect(JSON.parse(stdout.toString()).exports).toMatchObject([
      { is_read_only: true, can_multi_conn: true, 'export-size': (await stat(lower)).size },
    ])
    await expectRight(url)
    const compared = await runTool('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', url, lower])
    expect(compared.stdout.toString()).toContain('Images are identical')
    expect(await end()).toMatch(/ MB read; .* fetched in \d+ requests .* reads waited /)
  })

  test('and once more with the registry dead, from what is here', async () => {
    proxy.fault({ times: 1_000 }, { kind: 'reset', after: 0 })
    const { url, end, said } = await serve('--fail-after', '1s')
    expect(said()).toContain('stood for the last time')
    await expectRight(url)
    expect(await end()).toContain('0 B fetched in 0 requests')
    proxy.clear()
  })

  test('its cache is listed and counted', async () => {
    const listed = await on(host).json<ListLazyReply>('lazy', 'ls')
    expect(listed.images).toMatchObject([
      { reference: ref, status: 'idle', profile: 'plain', bytes: (await stat(lower)).size },
    ])
    expect(await on(host).ok('lazy', 'ls')).toMatch(/^IMAGE .*HERE.*\n.*team\/app:1 +idle +plain .* 100 % /)
    expect(await on(host).ok('lazy', 'ls', '-q')).toBe(`${ref}\n`)
    const { caches } = await on(host).json<UsageReport>('system', 'df')
    const { size } = await stat(lower)
    const data = caches.find(({ path }) => path.endsWith('/data') && path.includes('/lazy/'))
    expect(data).toMatchObject({ kind: 'lazy', size: { logical_bytes: size } })
  })

  test('its cache goes when that is asked for, and nobody serves it', async () => {
    const { end } = await serve()
    const kept = await on(host).json<PruneReport>('system', 'prune', '--lazy', '--force')
    expect([kept.items, kept.skipped]).toEqual([[], [{ kind: 'lazy', name: ref, reason: 'it is being served' }]])
    await end()
    expect(await on(host).ok('system', 'prune', '--orphans', '--cache-only', '--dry-run')).not.toContain('LAZY')
    const pruned = await on(host).json<PruneReport>('system', 'prune', '--lazy', '--force')
    expect(pruned.items).toMatchObject([{ kind: 'lazy', name: ref, action: 'remove' }])
    expect(pruned.totals.freed.physical_bytes).toBeGreaterThan(6 << 20)
    expect(await readdir(on(host).layout.lazyLowers)).toEqual([])
  })

  test('or for a budget that it is too large for', async () => {
    const { url, end } = await serve()
    await expectRight(url)
    await end()
    const kept = await on(host).json<PruneReport>('image', 'prune', '--max-used', '1GB', '--force')
    expect([kept.items, kept.skipped]).toEqual([
      [],
      [{ kind: 'lazy', name: ref, reason: 'the budget is kept without it' }],
    ])
    const pruned = await on(host).json<PruneReport>('image', 'prune', '--max-used', '1MB', '--force')
    expect(pruned.items).toMatchObject([{ kind: 'lazy', name: ref, action: 'remove' }])
    expect(pruned.totals.predicted_bytes).toBeGreaterThan(6 << 20)
    expect(await readdir(on(host).layout.lazyLowers)).toEqual([])
  })

  /** QEMU's client, that of a guest's drive, goes on with the next server where the one before it was killed. */
  async function survivesKill(): Promise<void> {
    const { requests } = proxy
    // By a trace it would be fetched before anybody reads.
    const first = await serve('--trace', 'unknown')
    const begun = requests.length
    const server = `file.driver=nbd,file.server.type=unix,file.server.path=${socket()},file.reconnect-delay=300`
    const converting = runTool('qemu-img', ['convert', '--image-opts', `driver=raw,${server}`, '-O', 'raw', copy()])
    // One that fails before it is looked at is no unhandled rejection.
    converting.catch(() => undefined)
    await until(async () => requests.length > begun, 'it fetches')
    await killScript(first.child)
    const second = await serve()
    await converting
    expect((await readFile(copy())).equals(await readFile(lower))).toBe(true)
    await second.end()
  }

  test('by a server that is killed again and again while it is read: no byte is wrong in the end', async () => {
    // A cache that begins anew, and a network that takes its time.
    const fresh = await openCowshed({ kernel: false })
    const before = host
    host = fresh
    try {
      proxy.network.bytesPerSecond = 4 << 20
      for (let at = 0; at < 2; at++) {
        const { child, url } = await serve('--fill', '--trace', `unknown-${at}`)
        const reading = runTool('nbdcopy', [url, copy()]).catch(() => undefined)
        const { requests } = proxy
        const begun = requests.length
        await until(async () => requests.length > begun, 'it fetches')
        await killScript(child)
        await reading
      }
      await survivesKill()
      proxy.network.bytesPerSecond = Number.POSITIVE_INFINITY
      const { url, end, said } = await serve('--fill')
      await expectRight(url)
      await until(async () => said().includes('all of it is here'), 'it is filled')
      proxy.fault({ times: 1_000 }, { kind: 'reset', after: 0 })
      await expectRight(url)
      await end()
    } finally {
      proxy.clear()
      proxy.network.bytesPerSecond = Number.POSITIVE_INFINITY
      host = before
      await fresh[Symbol.asyncDispose]()
    }
  })

  describe.runIf(needs({ root: true, tools: ['losetup', 'cmp', 'dd'] }))('and as a file', () => {
    const tree = (image: string) => withMountedErofs(image, snapshotOfDirectory)
    const forget = () => on(host).ok('system', 'prune', '--lazy', '--force')

    test('beside the block device: mounted by this kernel it has the tree of the image', async () => {
      await forget()
      const expected = await tree(lower)
      const { url, end, said } = await serveFile('--nbd', `unix:${socket()}`)
      expect(await mountedAt(file())).toMatchObject({ type: 'fuse.cowshed' })
      await withMountedErofs(file(), async (directory) => {
        // What this process reads may not be fetched through a proxy of this process.
        await runTool('sh', ['-c', 'tar -C "$1" -c . | cat > /dev/null', 'sh', directory])
        expect(snapshotOfDirectory(directory)).toEqual(expected)
      })
      expect(expected.size).toBeGreaterThan(60)
      await runTool('cmp', [file(), lower])
      await expectRight(`nbd+unix:///?socket=${socket()}`)
      expect([url, said()]).toEqual([file(), expect.stringContaining('is served')])
      await end()
      expect(await mountedAt(file())).toBeUndefined()
    })

    test('whoever reads it gets an error when its server is killed, and the next takes its place', async () => {
      await forget()
      const { child } = await serveFile()
      proxy.fault({ path: /\/blobs\//, times: 1_000 }, { kind: 'stall', after: 0 })
      const begun = proxy.requests.length
      const reading = runTool('dd', [`if=${file()}`, 'of=/dev/null', 'bs=64k', 'skip=40', 'count=1'])
      reading.catch(() => {})
      await until(async () => proxy.requests.length > begun, 'it fetches')
      await killScript(child)
      await expect(reading).rejects.toThrow(/not connected|abort/)
      proxy.clear()
      expect(await mountedAt(file())).toMatchObject({ type: 'fuse.cowshed' })
      const { end } = await serveFile()
      await runTool('cmp', [file(), lower])
      await end()
      expect(await mountedAt(file())).toBeUndefined()
    })

    test('that is filled is read by the kernel itself, and from where nothing else is', async () => {
      const { end, said } = await serveFile('--fill')
      await until(async () => said().includes('all of it is here'), 'it is filled')
      await runTool('cmp', [file(), lower])
      const report = await end()
      if (canPass()) expect(report).toContain('0 B read')
      await writeFile(file(), 'text')
      const refused = await on(host).run('lazy', 'serve', ref, '--insecure', '--fuse', file())
      expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('it is not empty')])
      expect(await readFile(file(), 'utf8')).toBe('text')
    })
  })

  test('and what was read of it is published from here, where no layers are', async () => {
    await on(host).ok('system', 'prune', '--lazy', '--force')
    const { url, end } = await serve()
    await expectRight(url)
    await end()
    const publish = ['image', 'publish-traces', ref, '--insecure']
    expect(await on(host).json<PublishTracesReply>(...publish)).toMatchObject({
      traces: ['boot'],
      outcome: 'published',
    })
    const again = await on(host).run(...publish)
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('boot traces boot, as before')])
    const refused = await on(host).run('image', 'publish-traces', `${proxy.host}/team/absent:1`, '--insecure')
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining('has no such thing')])
  })

  test('or one that has no chunk index: with a warning, and no longer than until it is seen to be another', async () => {
    const plain = plainErofsImage(await readFile(lower))
    const [at, registries] = [`${proxy.host}/plain/app:1`, openRegistries({ env: {} })]
    const repository = { registry: proxy.host, path: 'plain/app' }
    await pushImage(registries.repository(repository, { plainHttp: true }), plain, '1')
    await registries.close()
    const servePlain = () => serveAt(/^nbd\S+(?=\n)/, at, '--nbd', `unix:${socket()}`)
    proxy.fault({ method: 'GET', path: /\/blobs\//, times: 1 }, { kind: 'corrupt', at: 70_000 })
    const first = await servePlain()
    await until(async () => first.said().includes('has the digest'), 'all of it has come')
    await expect(runTool('nbdcopy', [first.url, copy()])).rejects.toThrow()
    expect(await first.end()).toMatch(/WARNING.*[\s\S]*error: what the registry gave/)
    expect(first.child.exitCode).toBe(1)
    proxy.clear()
    const second = await servePlain()
    await until(async () => second.said().includes('all of it is here'), 'all of it has come')
    await expectRight(second.url)
    await second.end()
    const { images } = await on(host).json<ListLazyReply>('lazy', 'ls')
    expect(images).toContainEqual(expect.objectContaining({ reference: at, status: 'idle', profile: 'plain' }))
  })

  test.each<[string[], number, string]>([
    [['registry.example/x', '--nbd', 'unix:'], 2, 'not an address of an NBD server'],
    [['registry.example/x', '--nbd', 'tcp:0.0.0.0:10809'], 2, 'can be reached by others'],
    [['registry.example/x'], 2, '--nbd unix:PATH; as a file: --fuse PATH'],
    [['registry.example/x', '--nbd', 'unix:/x', '--fail-after', 'soon'], 2, 'soon'],
  ])('but not %j', async (args, exit, why) => {
    const { code, stderr } = await on(host).run('lazy', 'serve', ...args)
    expect([code, stderr]).toEqual([exit, expect.stringContaining(why)])
  })
})

function on(cowshed: Cowshed | undefined): Cowshed {
  if (cowshed === undefined) throw new Error('there is no such host')
  return cowshed
}
