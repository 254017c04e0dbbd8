import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Fault, Matching } from '../../../test/support/fault-proxy.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import type { DataLayout, Digest } from '../../base/index.ts'
import type { AttachedLazy } from './attached-lazy.ts'
import { type Naming, openPublished, type Published } from './published-image.testkit.ts'

const blobs: Matching = { method: 'GET', path: /\/v2\/.*\/blobs\/sha256:/ }
const storage: Matching = { method: 'GET', path: /^\/storage/ }

/** What goes wrong with each request for some of the image. */
interface Case {
  readonly faults: readonly (readonly [Matching, Fault | 'elsewhere'])[]
  readonly naming?: Naming
  /** What a read gets that wants what cannot be had, while it goes on; undefined: the right bytes. */
  readonly error?: RegExp
  /** Or the right bytes. */
  readonly perhaps?: true
  /** Nothing is said for as long as a test can wait for. */
  readonly silent?: true
  /** When it happens once: the same unless told. */
  readonly once?: Fault
}

const onBlobs = (fault: Fault, rest: Omit<Case, 'faults'> = {}): Case => ({ faults: [[blobs, fault]], ...rest })
const answer = (status: number, headers: Record<string, string> = {}): Fault => ({ kind: 'answer', status, headers })
const range = (value: string | undefined): Fault => ({ kind: 'headers', headers: { 'content-range': value } })
/** The registry sends its clients elsewhere, and that is what happens there. */
const atStorage = (fault: Fault, rest: Omit<Case, 'faults'> = {}): Case => ({
  faults: [
    [blobs, 'elsewhere'],
    [storage, fault],
  ],
  ...rest,
})

const unreachable = { error: /REGISTRY_UNREACHABLE/ }
const wrong = { error: /COMPRESSION_INVALID|DIGEST_MISMATCH|LIMIT_EXCEEDED|SIZE_MISMATCH/ }
const refused = { error: /REGISTRY_UNAUTHORIZED/ }

const cases: Record<string, Case> = {
  'a reset that lets little through': onBlobs({ kind: 'reset', after: 1000 }, unreachable),
  // Each time further on.
  'a reset in the middle': onBlobs({ kind: 'reset', after: 150_000 }),
  'silence instead of an answer': onBlobs({ kind: 'stall-reply' }, { ...unreachable, silent: true }),
  'silence in the middle': onBlobs({ kind: 'stall', after: 1000 }, { ...unreachable, silent: true }),
  'a trickle': onBlobs({ kind: 'trickle', bytesPerSecond: 50 }, { ...unreachable, silent: true }),
  'a short body': onBlobs({ kind: 'short', after: 1000 }, unreachable),
  // What comes before it may be all that is wanted.
  'a long body': onBlobs({ kind: 'long', extra: 1000 }, { ...wrong, perhaps: true }),
  'a wrong byte': onBlobs({ kind: 'corrupt', at: 2000 }, wrong),
  'the whole for a Range': onBlobs({ kind: 'ignore-range' }),
  // Then the whole is asked for.
  '206 with a wrong range': onBlobs(range('bytes 7-1000/9999999')),
  '206 without a range': onBlobs(range(undefined)),
  '401': onBlobs(answer(401), refused),
  '403 where it redirects to': atStorage(answer(403), unreachable),
  '404': onBlobs(answer(404), { error: /REGISTRY_NOT_FOUND/ }),
  '416': onBlobs(answer(416), unreachable),
  '429 and come back in an hour': onBlobs(answer(429, { 'retry-after': '3600' }), {
    ...unreachable,
    once: answer(429, { 'retry-after': '0' }),
  }),
  '503': onBlobs(answer(503), unreachable),
  'a redirect to where nobody listens': onBlobs(answer(307, { location: 'http://127.0.0.1:1/' }), unreachable),
  'no such name': { faults: [], naming: 'unknown', ...unreachable },
  'a name that cannot be looked up now': { faults: [], naming: 'again', ...unreachable },
  'a connection that is refused': { faults: [], naming: 'refused', ...unreachable },
}

/** A registry of Debian's behind a proxy, with all that can go wrong between it and who reads. */
describe.runIf(needs({ tools: registryTools }))('right bytes or an error', () => {
  let published: Published

  beforeAll(async () => {
    published = await openPublished()
  })
  afterAll(() => published[Symbol.asyncDispose]())
  beforeEach(allIsWell)

  function allIsWell(): void {
    published.pulls.proxy.clear()
    published.naming.now = 'right'
  }

  function strike({ faults, naming = 'right', once }: Case, times: number): void {
    const { proxy } = published.pulls
    const elsewhere = answer(307, { location: `${proxy.url}/storage` })
    for (const [matching, fault] of faults) {
      proxy.fault({ ...matching, times }, fault === 'elsewhere' ? elsewhere : times === 1 ? (once ?? fault) : fault)
    }
    published.naming.now = naming
  }

  /** A host that has the bootstrap and nothing more, and knows the image by a name that can be looked up. */
  async function hostWithBootstrap(): Promise<{ layout: DataLayout; chunkIndex: Digest }> {
    const layout = published.newHost()
    await using attached = await published.attach(layout, { reference: published.named })
    return { layout, chunkIndex: attached.chunkIndex }
  }

  /** Whatever was fetched, and whoever wanted it. */
  async function expectNothingWrong(layout: DataLayout, { chunkIndex }: AttachedLazy): Promise<void> {
    const kept = await readFile(layout.lazyLower(chunkIndex).data)
    expect(kept.length).toBe(published.lower.length)
    expect(kept.findIndex((byte, at) => byte !== 0 && byte !== published.lower[at])).toBe(-1)
  }

  test.each(Object.entries(cases))('%s, for ever, and then no more', async (_, fault) => {
    const { layout, chunkIndex } = await hostWithBootstrap()
    await using attached = await published.attach(layout, {
      reference: chunkIndex,
      ...(fault.error && { policy: { kind: 'fail', afterMs: 300 } }),
      ...(fault.silent && { idleMs: 100 }),
    })
    strike(fault, 10_000)
    // What is fetched ahead meets it as well, and what is read meanwhile joins that.
    attached.lower.hint(0, published.lower.length)
    const outcomes = await published.readLeaves(attached)
    expect(outcomes[0]).toBe('right')
    const failed = outcomes.filter((outcome) => outcome !== 'right')
    if (fault.error === undefined) expect(failed).toEqual([])
    else if (fault.perhaps === undefined) expect(failed.length).toBeGreaterThan(0)
    // On a slow machine nothing may have come in that time whatever the fault.
    expect(failed.filter((code) => code !== 'REGISTRY_UNREACHABLE' && fault.error?.test(code) !== true)).toEqual([])
    await expectNothingWrong(layout, attached)
    allIsWell()
    // Until then others fail at once, and silence of a busy machine may be taken for that of the registry.
    const all = async () => [...new Set(await published.readLeaves(attached))]
    await expect.poll(all, { timeout: 120_000 }).toEqual(['right'])
  })

  test.each(Object.entries(cases).filter(([, { naming }]) => naming === undefined))(
    '%s, once, while it is read and filled',
    async (_, fault) => {
      const { layout, chunkIndex } = await hostWithBootstrap()
      await using attached = await published.attach(layout, {
        reference: chunkIndex,
        ...(fault.silent && { idleMs: 500 }),
      })
      strike(fault, 1)
      const ended = new AbortController()
      const filled = attached.lower.fill({ signal: ended.signal })
      const outcomes = await published.readLeaves(attached)
      expect(outcomes).not.toContain('wrong')
      await filled
      expect(attached.lower.leaves.missing).toBe(0)
      await published.expectRight(attached)
    },
  )
})
