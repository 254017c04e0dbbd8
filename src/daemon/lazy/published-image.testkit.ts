import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildImage, buildLayer, ociArchive } from '../../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type DataLayout, dataLayout, parseDigest } from '../../base/index.ts'
import { leafBytes, platformOf } from '../../formats/index.ts'
import { streamOf } from '../../images/images.testkit.ts'
import { openPulls } from '../../images/pull/pull.testkit.ts'
import type { OutagePolicy } from '../../lazy/index.ts'
import { openRegistries } from '../../wires/index.ts'
import { keystream, quickPatience } from '../../wires/registry/registry.testkit.ts'
import { attachLazy } from './attach-lazy.ts'
import type { AttachedLazy } from './attached-lazy.ts'

const base = buildLayer([
  { path: 'usr/lib/large', content: keystream(2_500_000) },
  ...Array.from({ length: 40 }, (_, at) => ({ path: `usr/share/${at}`, content: keystream(9000, at + 2) })),
])
export const image = buildImage({ layers: [base, buildLayer([{ path: 'etc/top', content: keystream(300_000, 50) }])] })
const sibling = buildImage({ layers: [base, buildLayer([{ path: 'etc/other', content: keystream(5000, 51) }])] })

/** As serveLazy has it, with short pauses; silence of a busy machine is borne. */
const patience = { ...quickPatience, tries: 2 }

export interface Attach {
  readonly reference?: string
  /** How long silence is borne, in milliseconds. */
  readonly idleMs?: number
  readonly policy?: OutagePolicy
  /** The boot trace. */
  readonly trace?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Where the name `registry.test` leads: to the proxy, to where nobody listens, or nowhere. */
export type Naming = 'right' | 'refused' | 'unknown' | 'again'

/** A registry with two images of one base that were published, a proxy before it, and hosts that read them. */
export async function openPublished() {
  const pulls = await openPulls()
  const directory = await temporaryDirectory()
  const tagged = [image, sibling].map((one, at) => ({ image: one, ref: `app:${at + 1}` }))
  await pulls.images.load({ source: { stream: streamOf(ociArchive(tagged)) } })
  for (const tag of [1, 2]) await pulls.images.publish({ ref: `app:${tag}`, destination: pulls.ref(`team/app:${tag}`) })
  const lowerOf = async ({ root }: typeof image) =>
    await readFile((await pulls.images.ensureLower(parseDigest(root.digest))).path)
  const [lower, siblingLower] = [await lowerOf(image), await lowerOf(sibling)]
  const naming: { now: Naming } = { now: 'right' }
  const resolve = async (host: string) => (host === 'registry.test' ? addressesOf(naming.now) : [local(host)])
  let hosts = 0

  async function attach(
    layout: DataLayout,
    {
      reference = pulls.ref('team/app:1'),
      idleMs = 20_000,
      policy = { kind: 'fail', afterMs: 60_000 },
      trace,
      signal = new AbortController().signal,
    }: Attach = {},
  ) {
    const { settings } = pulls
    const registries = openRegistries({ settings, env: {}, patience: { ...patience, idleMs }, resolve })
    const notices: string[] = []
    try {
      const attached = await attachLazy({
        ...{ layout, registries, reference, platform: platformOf(process.arch), insecure: true, policy, trace },
        listener: { degraded: () => {}, recovered: () => {} },
        onNotice: (message) => notices.push(message),
        signal,
      })
      const end = async () => {
        await attached[Symbol.asyncDispose]()
        await registries.close()
      }
      return { ...attached, notices, [Symbol.asyncDispose]: end }
    } catch (error) {
      await registries.close()
      throw error
    }
  }

  return {
    pulls,
    /** What every byte of the first image's lower must be. */
    lower,
    /** Of the other one, `team/app:2`. */
    siblingLower,
    naming,
    /** The first image, by a name that `naming` says something about. */
    named: pulls.ref('team/app:1').replace('127.0.0.1', 'registry.test'),
    newHost: () => dataLayout(join(directory.path, `${hosts++}`)),
    attach,
    /** Reads a range, and throws when a byte of it is wrong. */
    async expectRight({ lower: opened }: AttachedLazy, offset = 0, length = lower.length): Promise<void> {
      const bytes = await opened.read(offset, length)
      if (!bytes.equals(lower.subarray(offset, offset + length))) throw new Error(`a wrong byte in ${offset}+${length}`)
    },
    /** Reads each leaf by itself, all at once. @returns what became of it: `right`, `wrong`, or the code of the Problem */
    async readLeaves({ lower: opened }: AttachedLazy): Promise<string[]> {
      const offsets = Array.from({ length: Math.ceil(lower.length / leafBytes) }, (_, leaf) => leaf * leafBytes)
      return await Promise.all(
        offsets.map(async (offset) => {
          const right = lower.subarray(offset, offset + leafBytes)
          try {
            return (await opened.read(offset, right.length)).equals(right) ? 'right' : 'wrong'
          } catch (error) {
            return (error as { code?: string }).code ?? String(error)
          }
        }),
      )
    },
    async [Symbol.asyncDispose]() {
      await pulls[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
}

export type Published = Awaited<ReturnType<typeof openPublished>>

function addressesOf(naming: Naming) {
  if (naming === 'right') return [local('127.0.0.1')]
  // The proxy listens on another address of the loopback.
  if (naming === 'refused') return [local('127.0.0.2')]
  const code = naming === 'unknown' ? 'ENOTFOUND' : 'EAI_AGAIN'
  throw Object.assign(new Error(`getaddrinfo ${code} registry.test`), { code })
}

function local(address: string) {
  return { address, family: 4 }
}
