import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Fault, Matching } from '../../../test/support/fault-proxy.ts'
import { buildImage, buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type DataLayout, dataLayout, parseDigest } from '../../base/index.ts'
import { platformOf } from '../../formats/index.ts'
import { streamOf } from '../../images/images.testkit.ts'
import { openPulls, type Pulls } from '../../images/pull/pull.testkit.ts'
import { lazyUses, listLazyLowers, type OutagePolicy, removeLazyLower } from '../../lazy/index.ts'
import { openRegistries } from '../../wires/index.ts'
import { quickPatience } from '../../wires/registry/registry.testkit.ts'
import { type AttachedLazy, attachLazy } from './attach-lazy.ts'

const base = buildLayer([
  { path: 'usr/lib/large', content: randomBytes(2_500_000) },
  ...Array.from({ length: 40 }, (_, at) => ({ path: `usr/share/${at}`, content: randomBytes(9000) })),
])
const image = buildImage({ layers: [base, buildLayer([{ path: 'etc/top', content: randomBytes(300_000) }])] })
const sibling = buildImage({ layers: [base, buildLayer([{ path: 'etc/other', content: randomBytes(5000) }])] })
const blobs: Matching = { method: 'GET', path: /\/blobs\/sha256:/ }
/** As serveLazy has it, with short pauses; silence of a busy machine is borne. */
const patience = { ...quickPatience, tries: 2 }

describe.runIf(needs({ tools: registryTools }))('a published image', () => {
  let pulls: Pulls
  let directory: TemporaryDirectory
  let lower: Buffer
  let hosts = 0

  beforeAll(async () => {
    pulls = await openPulls()
    directory = await temporaryDirectory()
    const tagged = [image, sibling].map((one, at) => ({ image: one, ref: `app:${at + 1}` }))
    await pulls.images.load({ source: { stream: streamOf(ociArchive(tagged)) } })
    for (const tag of [1, 2])
      await pulls.images.publish({ ref: `app:${tag}`, destination: pulls.ref(`team/app:${tag}`) })
    lower = await readFile((await pulls.images.ensureLower(parseDigest(image.root.digest))).path)
  })
  afterAll(async () => {
    await pulls[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })
  beforeEach(() => pulls.proxy.clear())

  const newHost = () => dataLayout(join(directory.path, `${hosts++}`))

  async function attach(
    layout: DataLayout,
    { reference = pulls.ref('team/app:1'), idleMs = 20_000, policy }: Attach = {},
  ) {
    const registries = openRegistries({ settings: pulls.settings, env: {}, patience: { ...patience, idleMs } })
    const notices: string[] = []
    const close = () => registries.close()
    try {
      const attached = await attachLazy({
        ...{ layout, registries, reference, platform: platformOf(process.arch), insecure: true },
        policy: policy ?? { kind: 'fail', afterMs: 60_000 },
        listener: { degraded: () => {}, recovered: () => {} },
        onNotice: (message) => notices.push(message),
        signal: new AbortController().signal,
      })
      return {
        ...attached,
        notices,
        [Symbol.asyncDispose]: async () => {
          await attached[Symbol.asyncDispose]()
          await close()
        },
      }
    } catch (error) {
      await close()
      throw error
    }
  }

  /** Opening needs the bootstrap, which a policy of an instant might not wait for. */
  async function hostWithBootstrap(): Promise<DataLayout> {
    const layout = newHost()
    await (await attach(layout))[Symbol.asyncDispose]()
    return layout
  }

  async function expectRight({ lower: opened }: AttachedLazy, offset = 0, length = lower.length): Promise<void> {
    const bytes = await opened.read(offset, length)
    expect(bytes.equals(lower.subarray(offset, offset + length))).toBe(true)
  }

  test('is read without being pulled, by ranges, and by nobody a second time', async () => {
    const layout = newHost()
    {
      await using attached = await attach(layout)
      await expectRight(attached, 1_500_000, 1000)
      const ranges = pulls.proxy.requests.flatMap(({ path, headers }) =>
        path.includes('/blobs/') ? [headers.range] : [],
      )
      expect(ranges.at(-1)).toMatch(/^bytes=[1-9]\d*-\d+$/)
      expect(attached.lower.counters.requestedBytes).toBeLessThan(lower.length)
      await expectRight(attached)
    }
    pulls.proxy.clear()
    await using again = await attach(layout)
    await expectRight(again)
    expect(again.lower.counters).toMatchObject({ requests: 0, misses: 0, damagedLeaves: 0 })
  })

  test('is served by a host that saw it once, with the registry dead: what it has, and an error for what it has not', async () => {
    const layout = newHost()
    {
      await using attached = await attach(layout)
      await expectRight(attached, 1_000_000, 1000)
    }
    pulls.proxy.fault({ times: 1_000 }, { kind: 'reset', after: 0 })
    await using attached = await attach(layout, { policy: { kind: 'fail', afterMs: 100 } })
    expect(attached.notices).toEqual([expect.stringContaining('stood for the last time is served')])
    await expectRight(attached, 1_000_000, 1000)
    await expect(attached.lower.read(0, lower.length)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
    await expect(attach(newHost())).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
  })

  test('is known by its chunk index where some of it is here, and nobody is asked what it is', async () => {
    const layout = newHost()
    const first = await attach(layout)
    const { chunkIndex } = first
    await first[Symbol.asyncDispose]()
    pulls.proxy.clear()
    await using again = await attach(layout, { reference: chunkIndex })
    expect([again.chunkIndex, again.source.reference]).toEqual([chunkIndex, pulls.ref('team/app:1')])
    expect(pulls.proxy.requests.filter(({ path }) => path.includes('/manifests/'))).toEqual([])
    const nothing = attach(newHost(), { reference: chunkIndex })
    await expect(nothing).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND', hint: expect.stringContaining('lazy ls') })
  })

  test('is not fetched where its layers are: only what its bootstrap takes', async () => {
    await using attached = await attach(pulls.layout)
    await expectRight(attached)
    const { hostBytes, fetchedBytes, wrongLeaves } = attached.lower.counters
    expect([wrongLeaves, fetchedBytes < 64 * 1024, hostBytes > 2_500_000]).toEqual([0, true, true])
  })

  test('goes when nobody serves it', async () => {
    const layout = newHost()
    const attached = await attach(layout)
    const [known] = await listLazyLowers(layout)
    if (known === undefined) throw new Error('it is not listed')
    const { chunkIndex } = known
    expect(known.source.manifest_digest).toBe(image.root.digest)
    expect(await lazyUses(layout)).toEqual([{ ...known, isOpen: true }])
    expect(await removeLazyLower(layout, chunkIndex)).toBe(false)
    await attached[Symbol.asyncDispose]()
    expect(await removeLazyLower(layout, chunkIndex)).toBe(true)
    expect(await lazyUses(layout)).toEqual([])
    expect(await removeLazyLower(layout, chunkIndex)).toBe(true)
  })

  test('is one that was published: any other can only be pulled', async () => {
    await pulls.publish(image, 'plain:1')
    await expect(attach(newHost(), { reference: pulls.ref('plain:1') })).rejects.toMatchObject({
      code: 'IMAGE_UNSUPPORTED',
      hint: expect.stringContaining('cowshed image publish'),
    })
  })

  test('is found by its record only when that is whole', async () => {
    const layout = newHost()
    await (await attach(layout))[Symbol.asyncDispose]()
    const [known] = await listLazyLowers(layout)
    if (known === undefined) throw new Error('it is not listed')
    const { chunks, record } = layout.lazyLower(known.chunkIndex)
    await writeFile(chunks, 'damaged')
    pulls.proxy.fault({ times: 1_000 }, { kind: 'reset', after: 0 })
    await expect(attach(layout)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' })
    pulls.proxy.clear()
    await writeFile(record, '{')
    await using attached = await attach(layout)
    await expectRight(attached)
  })

  const range = (value: string): Fault => ({ kind: 'headers', headers: { 'content-range': value } })
  const answer = (status: number, headers: Record<string, string> = {}): Fault => ({ kind: 'answer', status, headers })
  const faults: [string, Fault, string][] = [
    ['a reset', { kind: 'reset', after: 1000 }, 'REGISTRY_UNREACHABLE'],
    ['silence', { kind: 'stall', after: 1000 }, 'REGISTRY_UNREACHABLE'],
    ['a short body', { kind: 'short', after: 1000 }, 'REGISTRY_UNREACHABLE'],
    ['a wrong byte', { kind: 'corrupt', at: 2000 }, 'COMPRESSION_INVALID|DIGEST_MISMATCH|LIMIT_EXCEEDED|SIZE_MISMATCH'],
    // Then the whole is asked for.
    ['a wrong range', range('bytes 7-1000/9999999'), 'none'],
    ['416', answer(416), 'REGISTRY_UNREACHABLE'],
    ['401', answer(401), 'REGISTRY_UNAUTHORIZED'],
    ['403', answer(403), 'REGISTRY_UNAUTHORIZED'],
    ['404', answer(404), 'REGISTRY_NOT_FOUND'],
    ['429', answer(429, { 'retry-after': '3600' }), 'REGISTRY_UNREACHABLE'],
    ['503', answer(503), 'REGISTRY_UNREACHABLE'],
    ['a link to nowhere', answer(307, { location: 'http://127.0.0.1:1/' }), 'REGISTRY_UNREACHABLE'],
  ]
  test.each(faults)('%s: for ever it is an error, and then the right bytes', async (_, fault, codes) => {
    const silent = fault.kind === 'stall'
    const layout = await hostWithBootstrap()
    await using attached = await attach(layout, {
      policy: { kind: 'fail', afterMs: 300 },
      ...(silent && { idleMs: 100 }),
    })
    pulls.proxy.fault({ ...blobs, times: 10_000 }, fault)
    const error = await failure(() => expectRight(attached))
    // On a slow machine nothing may have come in that time whatever the fault.
    expect([...codes.split('|'), 'REGISTRY_UNREACHABLE']).toContain(error)
    pulls.proxy.clear()
    // Silence of a busy machine may be taken for that of the registry again.
    await expect.poll(() => failure(() => expectRight(attached)), { timeout: 60_000 }).toBe('none')
  })

  test.each([...faults, ['the whole for a range', { kind: 'ignore-range' }, ''] as const])(
    '%s, once, while it is filled: all of it comes and is right',
    async (name, fault) => {
      if (['401', '403', '404'].includes(name)) return
      const silent = fault.kind === 'stall'
      const passing = fault.kind === 'answer' && fault.status === 429 ? answer(429, { 'retry-after': '0' }) : fault
      await using attached = await attach(newHost(), silent ? { idleMs: 500 } : {})
      pulls.proxy.fault(blobs, passing)
      await attached.lower.fill({ signal: new AbortController().signal })
      expect(attached.lower.leaves.missing).toBe(0)
      await expectRight(attached)
    },
  )

  test('of a registry that knows no ranges comes all the same, and is never in memory as a whole', async () => {
    await using attached = await attach(newHost())
    pulls.proxy.fault({ ...blobs, times: 10_000 }, { kind: 'ignore-range' })
    await expectRight(attached)
  })
})

interface Attach {
  readonly reference?: string
  readonly idleMs?: number
  readonly policy?: OutagePolicy
}

async function failure(work: () => unknown): Promise<string> {
  try {
    await work()
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
