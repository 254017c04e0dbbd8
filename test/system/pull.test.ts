import { once } from 'node:events'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Digest } from '../../src/base/index.ts'
import type { CowshedEvent, PullImageReply, PushImageReply, UsageReport } from '../../src/contract/index.ts'
import { runTool } from '../../src/host/index.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { buildImage, buildLayer, noise, writeLayout } from '../support/image-builder.ts'
import { needs } from '../support/needs.ts'
import { registryTools, startRegistry, type TestRegistry } from '../support/registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const big = buildLayer([{ path: 'big', content: noise(6 << 20) }])
const image = buildImage({ layers: [big, buildLayer([{ path: 'etc/small', content: 'small' }])] })
const digest = image.root.digest
const able = needs({ tools: [...registryTools, 'skopeo'] })

let registry: TestRegistry
let proxy: FaultProxy
let scratch: TemporaryDirectory
let ref = ''

beforeAll(async () => {
  if (!able) return
  scratch = await temporaryDirectory()
  registry = await startRegistry()
  proxy = await startFaultProxy(registry)
  ref = `${proxy.host}/app:1`
  const layout = join(scratch.path, 'layout')
  await writeLayout(layout, [{ image, ref: 'app' }])
  // Another program puts it there.
  await skopeo(
    'copy',
    '--preserve-digests',
    '--dest-tls-verify=false',
    `oci:${layout}:app`,
    `docker://${registry.host}/app:1`,
  )
}, 300_000)
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
  await scratch?.[Symbol.asyncDispose]()
})
beforeEach(() => {
  if (!able) return
  proxy.clear()
  proxy.network.bytesPerSecond = Number.POSITIVE_INFINITY
})

describe.runIf(able)('cowshed image pull', () => {
  test('brings an image that another program has put into the registry, and pushes it where that program finds it', async () => {
    await using cowshed = await openWithRegistry()
    const table = await cowshed.ok('image', 'pull', ref)
    expect(table).toMatch(new RegExp(`^NAME .*\\n${ref} +${digest.slice(7, 19)} `))
    const again = await cowshed.run('image', 'pull', ref)
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining(`${ref} is up to date`)])
    expect(await cowshed.ok('image', 'pull', '-q', ref)).toBe(`${digest}\n`)

    const pushed = await cowshed.ok('image', 'push', ref, `${proxy.host}/copy:2`)
    expect(pushed).toBe(`${proxy.host}/copy@${digest}\n`)
    expect(proxy.requests.some(({ path }) => path.includes('mount='))).toBe(true)
    const there = await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/copy:2`)
    expect(there.equals(image.blobs.get(digest) ?? Buffer.alloc(0))).toBe(true)
    const reply = await cowshed.json<PushImageReply>('image', 'push', ref, `${proxy.host}/copy:2`)
    expect(reply).toMatchObject({ digest, uploaded: { blobs: 0 } })

    const lines = (await cowshed.ok('events', '--json')).trimEnd().split('\n')
    const events = lines.map((line) => JSON.parse(line) as CowshedEvent)
    expect(events.map(({ type }) => type)).toEqual(['image.pulled', 'image.pushed', 'image.pushed'])
    // The data directory is a layout that others read in place.
    const local = `oci:${cowshed.layout.root}:${ref}`
    expect((await skopeo('inspect', '--raw', local)).equals(there)).toBe(true)
  })

  test('goes on after kill -9 of the daemon with what was fetched', async () => {
    await using cowshed = await openWithRegistry()
    proxy.network.bytesPerSecond = 2 << 20
    const pulling = cowshed.start('image', 'pull', ref)
    const ended = once(pulling, 'close')
    const partial = cowshed.layout.partialBlob(big.digest as Digest)
    const fetched = async () => (await stat(partial).catch(() => ({ size: 0 }))).size
    await until(async () => (await fetched()) > 1 << 20, 'a part of the layer is there')
    await cowshed.killDaemon()
    expect((await ended)[0]).toBe(7)
    const left = await fetched()
    proxy.clear()
    proxy.network.bytesPerSecond = Number.POSITIVE_INFINITY
    const { pulled } = await cowshed.json<{ pulled: PullImageReply[] }>('image', 'pull', ref)
    expect(pulled[0]).toMatchObject({ outcome: 'pulled', image: { digest } })
    const ranges = proxy.requests.filter(({ path }) => path.includes(big.digest)).map(({ headers }) => headers.range)
    expect(ranges).toEqual([expect.stringMatching(new RegExp(`^bytes=${left}-`))])
    expect(await readdir(cowshed.layout.downloads)).toEqual([])
  })

  test('stopped with Ctrl-C leaves a download that counts, that a prune takes when it is old, and no image', async () => {
    await using cowshed = await openWithRegistry()
    proxy.network.bytesPerSecond = 2 << 20
    const pulling = cowshed.start('image', 'pull', ref)
    const ended = once(pulling, 'close')
    const name = `${big.digest.replace(':', '-')}.partial`
    await until(
      async () => (await readdir(cowshed.layout.downloads).catch((): string[] => [])).includes(name),
      'it has begun',
    )
    const during = await cowshed.json<UsageReport>('system', 'df')
    expect(during.caches.filter(({ kind }) => kind === 'download').map(({ path }) => path)).toContain(
      join(cowshed.layout.downloads, name),
    )
    const said = text(pulling.stderr ?? Readable.from([]))
    pulling.kill('SIGINT')
    expect((await ended)[0]).toBe(130)
    expect(await said).toContain('what was fetched is kept')
    await until(async () => (await orphans(cowshed)).some((path) => path.endsWith(name)), 'nobody is at it any more')
    expect(await cowshed.ok('image', 'ls', '-q')).toBe('')
    expect(await cowshed.staging()).toEqual([])
    // Young: whoever stopped it may go on with it.
    await cowshed.ok('system', 'prune', '--orphans', '--force')
    expect(await readdir(cowshed.layout.downloads)).toContain(name)
    await runTool('touch', ['-d', '2 hours ago', join(cowshed.layout.downloads, name)])
    await cowshed.ok('system', 'prune', '--orphans', '--force')
    expect(await readdir(cowshed.layout.downloads)).not.toContain(name)
  })

  test('reports the progress of each layer, for programs too', async () => {
    await using cowshed = await openWithRegistry()
    const { stderr } = await cowshed.run('image', 'pull', ref, '--progress', 'json')
    const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
    const reports = lines.map(
      (line) => JSON.parse(line) as { phase: string; item: string; done: number; total: number },
    )
    const last = reports.filter(({ phase, item }) => phase === 'download' && item === big.digest.slice(7, 19)).at(-1)
    expect(last).toMatchObject({ done: big.blob.length, total: big.blob.length })
    expect(reports.some(({ phase }) => phase === 'unpack')).toBe(true)
  })

  test('ends with a code that says what went wrong', async () => {
    await using cowshed = await openWithRegistry()
    const codes = async (...args: string[]) => (await cowshed.run('image', ...args)).code
    expect(await codes('pull', `${proxy.host}/app:absent`)).toBe(3)
    expect(await codes('pull', 'NOT A NAME')).toBe(2)
    expect(await codes('pull', ref, '--platform', 'linux')).toBe(2)
    expect(await codes('pull', ref, `${proxy.host}/app:absent`)).toBe(6)
    expect(await codes('push', 'absent:1')).toBe(3)
  })
})

describe.runIf(able && needs({ tools: ['mke2fs'] }))('cowshed create', () => {
  test('pulls an image that is not here, unless told never to', async () => {
    await using cowshed = await openWithRegistry()
    const create = ['create', 'web', '--image', ref, '--no-start']
    const never = await cowshed.run(...create, '--pull', 'never')
    expect([never.code, proxy.requests.length]).toEqual([3, 0])
    expect(await cowshed.ok(...create)).toBe('web created (stopped)\n')
    const { image: pinned } = await cowshed.json<{ image: { manifest_digest: string } }>('inspect', 'web')
    expect(pinned.manifest_digest).toBe(digest)
    proxy.clear()
    expect(await cowshed.ok('create', 'db', '--image', ref, '--no-start')).toBe('db created (stopped)\n')
    expect(proxy.requests).toEqual([])
  })

  test('says what it lacks when the registry does not have it either', async () => {
    await using cowshed = await openWithRegistry()
    const { code, stderr } = await cowshed.run('create', 'x', '--image', `${proxy.host}/absent:1`, '--no-start')
    expect([code, stderr]).toEqual([3, expect.stringContaining('is not here, and could not be pulled')])
  })
})

/** A data directory whose settings know the registry: the proxy before it speaks plain http. */
async function openWithRegistry(): Promise<Cowshed> {
  const cowshed = await openCowshed({ kernel: false })
  await runTool('mkdir', ['-p', cowshed.layout.root])
  await writeFile(cowshed.layout.config, `[registries."${proxy.host}"]\nplain_http = true\n`)
  return cowshed
}

async function orphans(cowshed: Cowshed): Promise<string[]> {
  return (await cowshed.json<UsageReport>('system', 'df')).orphans.map(({ path }) => path)
}

async function skopeo(...args: string[]): Promise<Buffer> {
  return (await runTool('skopeo', ['--insecure-policy', ...args], { timeoutMs: 60_000 })).stdout
}
