import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureBuilt } from '../../../test/support/build.ts'
import { launcher, until } from '../../../test/support/cowshed.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import type { DataLayout } from '../../base/index.ts'
import { defaultLazyReading } from '../../contract/index.ts'
import { leafBytes } from '../../formats/index.ts'
import { isLocked } from '../../host/index.ts'
import { openEventLog } from '../../state/index.ts'
import { openClient } from '../../wires/nbd/nbd.testkit.ts'
import { openLazyLowers } from './lazy-lowers.ts'
import { openPublished, type Published } from './published-image.testkit.ts'

describe.runIf(needs({ tools: registryTools }))('lowers that are served to sheds', () => {
  let published: Published
  let directory: TemporaryDirectory

  beforeAll(async () => {
    await ensureBuilt()
    published = await openPublished()
    directory = await temporaryDirectory()
  })
  afterAll(async () => {
    await published[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  test('fifty that attach one at the same moment have one server, which fetches what one of them alone needs', async () => {
    const alone = await attach(1)
    const together = await attach(50)
    expect([alone.sockets, together.sockets]).toEqual([1, 1])
    expect(together.gets).toBe(alone.gets)
    const locks = [alone, together].map(({ lock }) => lock)
    await until(
      async () => !(await Promise.all(locks.map(isLocked))).includes(true),
      'who serves what nobody reads ends',
    )
  })

  /** Sheds of a host that has nothing but the bootstrap, each of which reads all of it. @returns at how many places they were served, and how often the registry was asked for some of it */
  async function attach(sheds: number): Promise<{ sockets: number; gets: number; lock: string }> {
    const { lower, pulls } = published
    const layout = published.newHost()
    const rootfs = await bootstrapOf(layout)
    pulls.proxy.clear()
    const runDirectory = join(directory.path, String(sheds))
    await mkdir(runDirectory)
    const events = openEventLog(':memory:')
    const lowers = openLazyLowers({
      ...{ root: layout.root, runDirectory, launcher, events },
      images: { ensureLazySource: async () => {} },
      wholes: { look: () => {}, follow: () => ({ [Symbol.dispose]: () => {} }), leave: () => {} },
    })
    try {
      const names = Array.from({ length: sheds }, (_, at) => `shed-${at}`)
      const sockets = await Promise.all(
        names.map((name) => lowers.serve(name, { ...rootfs, reading: defaultLazyReading }, {})),
      )
      await Promise.all(
        sockets.map(async (path) => {
          await using client = await openClient({ kind: 'unix', path })
          await client.go()
          for (let at = 0; at < lower.length; at += leafBytes) {
            const right = lower.subarray(at, at + leafBytes)
            expect((await client.read(at, right.length)).equals(right)).toBe(true)
          }
        }),
      )
      const gets = pulls.proxy.requests.filter(({ path }) => path.includes('/blobs/')).length
      return { sockets: new Set(sockets).size, gets, lock: layout.lazyLower(rootfs.chunkIndex).lock }
    } finally {
      lowers[Symbol.dispose]()
      events.close()
    }
  }

  async function bootstrapOf(layout: DataLayout) {
    await using attached = await published.attach(layout)
    const { chunkIndex, source } = attached
    return { reference: source.reference, chunkIndex, profile: source.profile }
  }
})
