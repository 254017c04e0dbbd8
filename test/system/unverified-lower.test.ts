import { createHash } from 'node:crypto'
import { access, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseDigest } from '../../src/base/index.ts'
import type { CowshedEvent, CreateShedReply, Shed } from '../../src/contract/index.ts'
import { readServing } from '../../src/daemon/lazy/serving-status.ts'
import { leafHashBytes } from '../../src/formats/index.ts'
import { makeImages, streamOf } from '../../src/images/images.testkit.ts'
import { openRegistries } from '../../src/wires/index.ts'
import { keystream, pushImage } from '../../src/wires/registry/registry.testkit.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { type FaultProxy, type Matching, startFaultProxy } from '../support/fault-proxy.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'
import { plainErofsImage } from '../support/plain-erofs-image.ts'
import { registryTools, startRegistry, type TestRegistry } from '../support/registry.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools, ...registryTools] })

/** What no boot needs: it comes, with all that is behind it, when a test lets it. */
const rest: Matching = { method: 'GET', path: /\/blobs\//, range: /^bytes=\d{8,}-/ }

const restBytes = 20 << 20

/** Each test goes on where the one before it ended. */
describe.runIf(able)('a shed on an erofs image without a chunk index', () => {
  let cowshed: Cowshed
  let registry: TestRegistry
  let proxy: FaultProxy
  let lower: Buffer
  let [right, wrong] = ['', '']

  beforeAll(async () => {
    registry = await startRegistry()
    proxy = await startFaultProxy(registry)
    lower = await lowerOf(busyboxArchive('app:1', [{ path: 'srv/rest', content: keystream(restBytes) }]))
    right = await push('right', 'WHO=right')
    wrong = await push('wrong', 'WHO=wrong')
    cowshed = await openCowshed()
    const config = `[registries."${proxy.host}"]\nplain_http = true\n[images]\npull_policy = "lazy"\n`
    await writeFile(cowshed.layout.config, config)
  }, 300_000)
  afterAll(async () => {
    await cowshed?.[Symbol.asyncDispose]()
    await proxy?.[Symbol.asyncDispose]()
    await registry?.[Symbol.asyncDispose]()
  })
  beforeEach(() => proxy.clear())

  async function lowerOf(archive: Buffer): Promise<Buffer> {
    await using store = await makeImages()
    await store.images.load({ source: { stream: streamOf(archive) } })
    return await readFile((await store.images.ensureLower((await store.images.resolve('app:1')).manifestDigest)).path)
  }

  /** The same bytes under manifests of their own. */
  async function push(name: string, variable: string): Promise<string> {
    const registries = openRegistries({ env: {} })
    const path = `plain/${name}`
    const image = plainErofsImage(lower, { runs: { Env: ['PATH=/bin', variable], WorkingDir: '/srv' } })
    await pushImage(registries.repository({ registry: proxy.host, path }, { plainHttp: true }), image, '1')
    await registries.close()
    return `${proxy.host}/${path}:1`
  }

  const create = (name: string, image: string, ...more: string[]) =>
    cowshed.run('create', name, '--image', image, '--memory', '128MiB', '--json', ...more)
  const shed = (name: string) => cowshed.json<Shed>('inspect', name)
  const withhold = () => proxy.fault({ ...rest, times: 100_000 }, { kind: 'answer', status: 503 })
  const lazyOf = async (name: string) =>
    cowshed.layout.lazyLower(parseDigest((await shed(name)).lazy?.chunk_index_digest ?? ''))

  async function told(): Promise<CowshedEvent[]> {
    return (await cowshed.ok('events', '--json'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as CowshedEvent)
  }

  /** What a command says that reads from the drive. */
  const readInGuest = (command: string) =>
    cowshed.ok('exec', 'web', '--', 'sh', '-c', `echo 3 > /proc/sys/vm/drop_caches; ${command}`)

  /** How many are remembered to have been given. */
  async function leavesIn(given: string): Promise<number> {
    const hashes = await readFile(given)
    const all = Array.from({ length: hashes.length / leafHashBytes }, (_, at) => at * leafHashBytes)
    return all.filter((at) => hashes.subarray(at, at + leafHashBytes).some((byte) => byte > 0)).length
  }

  async function servers(): Promise<number[]> {
    const names = (await readdir(cowshed.runDirectory)).filter((name) => name.startsWith('lazy-'))
    const serving = await Promise.all(names.map((name) => readServing(join(cowshed.runDirectory, name))))
    return serving.flat().flatMap(({ pid, isAlive }) => (isAlive ? [pid] : []))
  }

  async function replaceServer(): Promise<void> {
    await until(async () => (await servers()).length === 1, 'it is served')
    const [pid = 0] = await servers()
    expect(pid).toBeGreaterThan(0)
    process.kill(pid, 'SIGKILL')
    await until(async () => (await servers()).some((other) => other !== pid), 'another serves')
  }

  test('is made for who asks for it, and for nobody because config.toml says lazy', async () => {
    const refused = await create('web', right)
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('--pull lazy')])
    withhold()
    const made = await create('web', right, '--pull', 'lazy')
    expect([made.code, made.stderr]).toEqual([0, expect.stringMatching(/WARNING.*nothing that web reads is verified/)])
    const { shed: web } = JSON.parse(made.stdout) as CreateShedReply
    expect(web).toMatchObject({ status: 'running', lazy: { unverified: true, profile: 'plain' } })
    expect(await cowshed.ok('exec', 'web', '--', 'sh', '-c', 'echo $WHO; pwd; cat kept')).toBe('right\n/srv\nkept\n')
    expect(await cowshed.ok('inspect', 'web')).toMatch(/^lazy: +yes, and UNVERIFIED/m)
    await until(async () => (await cowshed.ok('ls')).includes('unverified'), 'the list says so')
    const { data } = (await told()).find(({ type }) => type === 'lazy.unverified') ?? {}
    expect(data).toEqual({ chunk_index_digest: web.lazy?.chunk_index_digest, sheds: ['web'] })
  })

  test('keeps nothing that outlives it while it is unverified, and sleeps, wakes and outlives who serves it', async () => {
    withhold()
    const refused = await cowshed.run('snapshot', 'create', 'web', 'now')
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('before all of it is here')])
    await cowshed.ok('stop', 'web', '--keep-memory')
    await cowshed.ok('start', 'web')
    await replaceServer()
    expect(await cowshed.ok('exec', 'web', '--', 'cat', '/srv/kept')).toBe('kept\n')
    expect((await shed('web')).lazy?.unverified).toBe(true)
  })

  test('is as any other once all of it came and is right', async () => {
    const { lazy } = await shed('web')
    await until(async () => (await shed('web')).lazy?.unverified === undefined, 'its record says that it is verified')
    expect((await told()).map(({ type }) => type)).toContain('image.whole')
    const kept = cowshed.layout.keptLower(parseDigest(lazy?.chunk_index_digest ?? ''))
    expect((await readFile(kept)).equals(lower)).toBe(true)
    proxy.fault({ times: 100_000 }, { kind: 'reset', after: 0 })
    await replaceServer()
    const sum = createHash('md5').update(keystream(restBytes)).digest('hex')
    expect(await readInGuest('md5sum < /srv/rest')).toBe(`${sum}  -\n`)
    await cowshed.ok('snapshot', 'create', 'web', 'now')
    const other = await create('other', right, '--no-start')
    expect((JSON.parse(other.stdout) as CreateShedReply).shed.lazy).toBeUndefined()
    await cowshed.ok('delete', 'web', 'other', '--force')
  })

  test('fails when guests were given what is not in it, also while no daemon runs, and whatever came since', async () => {
    withhold()
    const made = await create('web', wrong, '--pull', 'lazy')
    expect([made.code, made.stderr]).toEqual([0, expect.stringContaining('WARNING')])
    expect((await create('asleep', wrong, '--pull', 'lazy', '--no-start')).code).toBe(0)
    await cowshed.ok('exec', 'web', '--', 'sh', '-c', 'echo mine > /root/mine; sync')
    const isWithheld = () => proxy.requests.some(({ headers }) => rest.range?.test(headers.range ?? ''))
    await until(async () => isWithheld(), 'all that is not withheld is here')
    const { wrong: note, dir, given } = await lazyOf('web')
    const before = await leavesIn(given)
    proxy.clear()
    proxy.fault(rest, { kind: 'corrupt', at: 3000 })
    withhold()
    await until(async () => (await leavesIn(given)) > before, 'what is wrong has come')
    await replaceServer()
    // Its VM is connected again: it keeps who serves it from ending.
    expect(await readInGuest('cat /srv/kept')).toBe('kept\n')
    const { pid } = await shed('web')
    await cowshed.killDaemon()
    proxy.clear()
    const isThere = (path: string) =>
      access(path).then(
        () => true,
        () => false,
      )
    await until(() => isThere(note), 'who serves it notes that it is wrong')
    for (const name of ['web', 'asleep'])
      await until(async () => (await shed(name)).status === 'failed', `the next daemon fails ${name}`)
    await until(async () => !(await isThere(dir)), 'what was fetched of it goes')
    expect(await cowshed.vmms()).not.toContain(pid)
  })

  test('and then stays as it is for a look, starts no more, and begins anew with an empty disk', async () => {
    expect(await shed('web')).toMatchObject({ status: 'failed', failure: { code: 'DIGEST_MISMATCH' } })
    const types = (await told()).map(({ type }) => type)
    expect([types.includes('lazy.wrong'), types.includes('shed.failed')]).toEqual([true, true])
    for (const verb of [
      ['start', 'web'],
      ['fork', 'web', 'two'],
      ['exec', 'web', '--', 'true'],
    ]) {
      const refused = await cowshed.run(...verb)
      expect(refused.stderr).toContain('has failed')
    }
    const { stderr } = await cowshed.run('start', 'web')
    expect(stderr).toContain(`mount -o ro,loop ${cowshed.layout.shed('web').upper}`)
    expect(await cowshed.getText('/api/metrics')).toContain('cowshed_sheds{status="failed"} 2')
    await cowshed.ok('reset', 'web', '--force')
    const web = await shed('web')
    expect([web.status, web.failure, web.lazy?.unverified]).toEqual(['stopped', undefined, true])
    await cowshed.ok('delete', 'web', 'asleep', '--force')
  })
})
