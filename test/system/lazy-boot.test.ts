import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { memoryIn, parseDigest } from '../../src/base/index.ts'
import type {
  CowshedEvent,
  CreateShedReply,
  ImageDetail,
  ListLazyReply,
  PruneReport,
  Shed,
  UsageReport,
} from '../../src/contract/index.ts'
import { readServing } from '../../src/daemon/lazy/serving-status.ts'
import { keystream } from '../../src/wires/registry/registry.testkit.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'
import { registryTools, startRegistry, type TestRegistry } from '../support/registry.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools, ...registryTools] })

/** Of the files of the image. The last one is read by nobody, and longer than what is fetched ahead at most: by being read alone the image never becomes whole. */
const large = keystream(20 << 20)
/** Names enough that their directories have blocks of their own. */
const tree = Array.from({ length: 900 }, (_, at) => ({
  path: `srv/tree/${at % 30}/a-name-that-takes-its-space-${at}`,
  content: `${at}\n`,
}))

/** A shed whose image is not here: each test goes on where the one before it ended. */
describe.runIf(able)('a shed boots before its image is here', () => {
  let cowshed: Cowshed
  let registry: TestRegistry
  let proxy: FaultProxy
  let ref = ''

  beforeAll(async () => {
    registry = await startRegistry()
    proxy = await startFaultProxy(registry)
    ref = `${proxy.host}/team/app:1`
    await publish()
    cowshed = await openCowshed()
    await writeFile(
      cowshed.layout.config,
      `[registries."${proxy.host}"]\nplain_http = true\n[images]\npull_policy = "lazy"\n`,
    )
  }, 300_000)
  afterAll(async () => {
    await cowshed?.[Symbol.asyncDispose]()
    await proxy?.[Symbol.asyncDispose]()
    await registry?.[Symbol.asyncDispose]()
  })

  beforeEach(() => proxy.clear())

  async function publish(): Promise<void> {
    await using publisher = await openCowshed({ kernel: false })
    const archive = join(publisher.layout.root, '..', 'app.tar')
    const read = ['one', 'two', 'three', 'four'].map((name, at) => ({ path: `srv/${name}`, content: contentOf(at) }))
    // Twice as long as what is ever fetched ahead of a read: without --fill there is always some that is not here.
    const files = [{ path: 'srv/aside', content: keystream(8 << 20, 9) }, ...read]
    await writeFile(archive, busyboxArchive('app:1', [...files, ...tree]))
    await publisher.ok('image', 'load', archive)
    await publisher.ok('image', 'publish', 'app:1', ref, '--insecure', '--profile', 'plain')
    await publisher.ok('image', 'push', 'app:1', `${proxy.host}/team/plain:1`, '--insecure')
  }

  /** Of the files of the image: 4 MiB each, and 8 MiB. */
  function contentOf(at: number): Buffer {
    return large.subarray(at * (4 << 20), (at === 3 ? 5 : at + 1) * (4 << 20))
  }

  /** What a file is in the guest, read from its drive. */
  async function expectRight(name: string, at: number, of = 'web'): Promise<void> {
    const script = `echo 3 > /proc/sys/vm/drop_caches; md5sum < /srv/${name}`
    const sum = createHash('md5').update(contentOf(at)).digest('hex')
    expect(await cowshed.ok('exec', of, '--', 'sh', '-c', script)).toBe(`${sum}  -\n`)
  }

  const shed = async () => await cowshed.json<Shed>('inspect', 'web')
  /** What was told of it so far. */
  async function told(): Promise<string[]> {
    return (await events()).map(({ type }) => type).filter((type) => type.startsWith('lazy.'))
  }
  const restarts = async () => (await told()).filter((type) => type === 'lazy.restarted').length
  async function events(): Promise<CowshedEvent[]> {
    const lines = (await cowshed.ok('events', '--json')).trimEnd().split('\n')
    return lines.map((line) => JSON.parse(line) as CowshedEvent)
  }
  const nobodyAnswers = () => proxy.fault({ times: 10_000 }, { kind: 'reset', after: 0 })

  /** The processes that serve what its sheds read. */
  async function servers(): Promise<number[]> {
    const names = await readdir(cowshed.runDirectory)
    const directories = names.filter((name) => name.startsWith('lazy-')).map((name) => join(cowshed.runDirectory, name))
    const serving = (await Promise.all(directories.map(readServing))).flat()
    return serving.flatMap(({ pid, isAlive }) => (isAlive ? [pid] : []))
  }

  async function killServer(): Promise<void> {
    // It listens a moment before it says who it is.
    await until(async () => (await servers()).length > 0, 'it is served')
    const [pid = 0, ...others] = await servers()
    expect([pid > 0, others]).toEqual([true, []])
    process.kill(pid, 'SIGKILL')
    await until(async () => !(await servers()).includes(pid), 'the server is dead')
  }

  test('of which it fetches what its guest reads', async () => {
    const made = await cowshed.json<CreateShedReply>(
      'create',
      'web',
      '--image',
      ref,
      '--memory',
      '128MiB',
      '--trace',
      'web',
    )
    expect(made.shed).toMatchObject({ status: 'running', lazy: { profile: 'plain' }, image: { ref } })
    expect(await cowshed.ok('exec', 'web', '--', 'cat', '/srv/kept')).toBe('kept\n')
    const { images } = await cowshed.json<ListLazyReply>('lazy', 'ls')
    expect(images).toMatchObject([{ reference: ref, status: 'served', sheds: ['web'] }])
    expect(images[0]?.physical_bytes).toBeLessThan(12 << 20)
    await expectRight('one', 0)
    const traces = cowshed.layout.lazyLower(parseDigest(images[0]?.chunk_index_digest ?? '')).traces
    await until(
      async () => (await readdir(traces).catch(() => [])).join() === 'web',
      'its boot is recorded, by its name',
    )
  })

  test('how far it is can be seen, and when its registry is away and back', async () => {
    const progress = async () => (await shed()).lazy?.progress
    await until(async () => ((await progress())?.counts.misses ?? 0) > 0, 'it says what its guest waited for')
    const seen = await progress()
    expect([seen?.complete, seen?.counts.requests === 0]).toEqual([false, false])
    expect([seen?.heat.read.some((percent) => percent > 0), seen?.heat.here.includes(0)]).toEqual([true, true])
    const { lazy = [] } = await cowshed.json<ImageDetail>('image', 'inspect', ref)
    expect(lazy).toMatchObject([{ status: 'served', sheds: ['web'], progress: { heat: { here: expect.any(Array) } } }])
    const drawn = Buffer.from(await cowshed.ok('image', 'inspect', ref), 'latin1').toString()
    expect(drawn).toMatch(/^map of here: +[▁-█·]{32,64}$/m)
    expect(await cowshed.getText('/api/metrics')).toMatch(
      /^cowshed_lazy_requests_total\{image=".*team\/app:1",chunk_index="\w{12}"\} [1-9]/m,
    )
    nobodyAnswers()
    const waiting = cowshed.ok('exec', 'web', '--', 'sh', '-c', 'head -c 4096 /srv/three | wc -c')
    await until(async () => (await told()).at(-1) === 'lazy.degraded', 'it is told that the registry is away')
    expect((await cowshed.ok('ls')).match(/\d+ % here, registry away/)).not.toBeNull()
    expect(await cowshed.ok('inspect', 'web')).toMatch(/^registry: +gives nothing since/m)
    proxy.clear()
    expect(await waiting).toBe('4096\n')
    await until(async () => (await told()).at(-1) === 'lazy.recovered', 'it is told that it is back')
    const turns = await told()
    expect(turns).toEqual(turns.map((_, at) => (at % 2 === 0 ? 'lazy.degraded' : 'lazy.recovered')))
  })

  test('which gets an error for what the registry does not give, and reads it when it does', async () => {
    proxy.fault({ times: 10_000 }, { kind: 'answer', status: 404 })
    await expectRight('one', 0)
    const lost = await cowshed.run('exec', 'web', '--', 'md5sum', '/srv/two')
    expect([lost.code, lost.stderr]).toEqual([1, expect.stringContaining('Input/output error')])
    proxy.clear()
    await until(
      async () => (await cowshed.run('exec', 'web', '--', 'md5sum', '/srv/two')).code === 0,
      'the registry is asked again',
    )
    await expectRight('two', 1)
  })

  test('whose names and sizes need no registry', async () => {
    const find = async () => {
      const script = 'echo 3 > /proc/sys/vm/drop_caches; find / -xdev -type f -size -2 | grep -c /srv/tree/'
      expect(await cowshed.ok('exec', 'web', '--', 'sh', '-c', script)).toBe(`${tree.length}\n`)
    }
    // What finds is a file as others, that has to come once; and who serves next is not fetching anything.
    await find()
    await killServer()
    await until(async () => (await servers()).length === 1, 'another serves')
    proxy.clear()
    await find()
    expect(proxy.requests).toEqual([])
  })

  test('and reads on, no byte wrong, while whoever serves it is killed again and again', async () => {
    const sums = [0, 1].map((at) => createHash('sha256').update(contentOf(at)).digest('hex'))
    const read = 'echo 3 > /proc/sys/vm/drop_caches; cat /srv/one | sha256sum; cat /srv/two | sha256sum'
    const reading = cowshed.ok('exec', 'web', '--', 'sh', '-c', `${read}; ${read}; ${read}`)
    // It may fail before it is waited for.
    reading.catch(() => {})
    for (let kill = 0; kill < 3; kill++) {
      await killServer()
      await until(async () => (await servers()).length === 1, 'another serves')
    }
    const right = sums.map((sum) => `${sum}  -\n`).join('')
    expect(await reading).toBe(right.repeat(3))
  })

  test('and goes on when whoever serves it is killed, and the daemon too', async () => {
    await killServer()
    await expectRight('two', 1)
    const before = await servers()
    await cowshed.killDaemon()
    expect(await servers()).toEqual(before)
    await expectRight('one', 0)
    await killServer()
    await expectRight('three', 2)
    const { data } = (await events()).findLast(({ type }) => type === 'lazy.restarted') ?? {}
    expect(data).toEqual({ sheds: ['web'], chunk_index_digest: (await shed()).lazy?.chunk_index_digest })
  })

  test('and goes on when the one is killed while there is no other: the next daemon starts one', async () => {
    const before = await restarts()
    await cowshed.killDaemon()
    await killServer()
    expect(await servers()).toEqual([])
    await until(async () => (await restarts()) === before + 1, 'the next daemon tells of it')
    await until(async () => (await servers()).length === 1, 'it is served')
    // Whoever is slower than QEMU's patience has a guest that was told of errors, and reads all the same.
    const read = ['exec', 'web', '--', 'sh', '-c', 'echo 3 > /proc/sys/vm/drop_caches; md5sum < /srv/two']
    await until(async () => (await cowshed.run(...read)).code === 0, 'its guest reads')
    await expectRight('two', 1)
  })

  test('it sleeps and goes on, and so does a fork of it; a snapshot, which may outlive its registry, is refused', async () => {
    await cowshed.ok('stop', 'web', '--keep-memory')
    await until(async () => (await servers()).length === 0, 'who serves what nobody reads ends')
    await cowshed.ok('start', 'web')
    expect(await shed()).toMatchObject({ status: 'running', lazy: expect.any(Object) })
    await expectRight('three', 2)
    await cowshed.ok('fork', 'web', 'twin')
    expect((await cowshed.json<Shed>('inspect', 'twin')).lazy).toBeDefined()
    await expectRight('two', 1, 'twin')
    await cowshed.ok('delete', 'twin', '--force')
    const refused = await cowshed.run('snapshot', 'create', 'web', 'now')
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('hint: bring all of it')])
  })

  test('it starts with the registry dead, from what is here, which nothing takes away', async () => {
    await cowshed.ok('stop', 'web')
    await until(async () => (await servers()).length === 0, 'who serves what nobody reads ends')
    const kept = await cowshed.json<PruneReport>('system', 'prune', '--lazy', '--force')
    expect([kept.items, kept.skipped]).toEqual([[], [{ kind: 'lazy', name: ref, reason: 'shed web reads it' }]])
    nobodyAnswers()
    await cowshed.ok('start', 'web')
    await expectRight('two', 1)
  })

  test('what is read in part is not here: whoever wants it whole has it pulled', async () => {
    const whole = ['create', 'whole', '--no-start', '--image', ref, '--pull', 'whole']
    const refused = await cowshed.run(...whole, '--fill')
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('all of it is to be here')])
    const made = await cowshed.json<CreateShedReply>(...whole)
    expect(made.shed.lazy).toBeUndefined()
    await cowshed.ok('delete', 'web', 'whole', '--force')
    await cowshed.ok('image', 'rm', ref)
    await until(async () => (await servers()).length === 0, 'who serves what nobody reads ends')
    await cowshed.ok('system', 'prune', '--lazy', '--force')
    expect(await readdir(cowshed.layout.lazyLowers)).toEqual([])
  })

  test('with --fill all of it comes while it runs, and needs no registry and no cache from then on', async () => {
    await cowshed.ok('create', 'web', '--image', ref, '--memory', '128MiB', '--fill', '--fail-after', '5m')
    const whole = async () => (await events()).find(({ type }) => type === 'image.whole')
    await until(async () => (await whole()) !== undefined, 'all of it is here')
    expect((await whole())?.data).toMatchObject({ sheds: ['web'] })
    nobodyAnswers()
    await expectRight('three', 2)
    await killServer()
    await expectRight('two', 1)
    const { caches } = await cowshed.json<UsageReport>('system', 'df')
    expect(caches.filter(({ path }) => path.endsWith('/data'))).toEqual([])
    // What is kept of it lies over the whole lower: it needs nothing of where that came from.
    await cowshed.ok('pause', 'web')
    await cowshed.ok('snapshot', 'create', 'web', 'disk')
    await cowshed.ok('snapshot', 'create', 'web', 'now', '--memory')
    // Its VM still reads as it did.
    expect(await shed()).toMatchObject({ status: 'paused', lazy: expect.any(Object) })
    const { memoryRecord } = memoryIn(cowshed.layout.snapshot('now').dir)
    expect(JSON.parse(await readFile(memoryRecord, 'utf8')).lowers).toMatchObject([{ head_sha256: expect.any(String) }])
    await cowshed.ok('snapshot', 'rm', 'now', 'disk', '--force')
    await cowshed.ok('stop', 'web', '--keep-memory')
    await cowshed.ok('start', 'web')
    expect((await shed()).lazy).toBeUndefined()
    await expectRight('one', 0)
    await until(async () => (await servers()).length === 0, 'who serves what nobody reads ends')
    await cowshed.ok('system', 'prune', '--lazy', '--force')
    expect(await readdir(cowshed.layout.lazyLowers)).toEqual([])
    expect((await cowshed.json<ImageDetail>('image', 'inspect', ref)).boot_only).toBe(true)
    await cowshed.ok('delete', 'web', '--force')
  })

  test('an image that was not published is pulled, unless that was not meant', async () => {
    const plain = `${proxy.host}/team/plain:1`
    const refused = await cowshed.run('create', 'x', '--no-start', '--image', plain, '--pull', 'lazy')
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('was not published with a rootfs')])
    const ext4 = await cowshed.run('create', 'x', '--image', ref, '--pull', 'lazy', '--rootfs', 'ext4')
    expect([ext4.code, ext4.stderr]).toEqual([2, expect.stringContaining('of all of its image')])
    const made = await cowshed.json<CreateShedReply>('create', 'x', '--no-start', '--image', plain)
    expect(made.shed.lazy).toBeUndefined()
  })
})
