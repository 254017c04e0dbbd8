import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dice } from '../../test/support/dice.ts'
import { firstLine, killScript, startScript } from '../../test/support/node-script.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { openClient } from '../wires/nbd/nbd.testkit.ts'
import { damageFile, damages } from './damage.testkit.ts'
import { openLazyLower } from './index.ts'
import { killStorm } from './kill-storm.testkit.ts'
import { FakeRegistry, publishedLower } from './published.testkit.ts'

/** bench/soak/soak-lazy.ts does it two hundred times, with `lazy serve` and a real registry. */
const kills = 20

test('servers that are killed while they fetch, and whose cache is damaged meanwhile, never give a wrong byte', async () => {
  await using directory = await temporaryDirectory()
  const [path, socket] = [join(directory.path, 'data'), join(directory.path, 's')]
  const { lower } = await publishedLower()
  const throwDice = dice('killed servers')
  let started = 0
  const start = async () => {
    const child = await startScript(new URL('./serve-published.testkit.ts', import.meta.url), [
      ...[path, socket, String(started++)],
    ])
    return { child, ready: firstLine(child) }
  }
  const report = await killStorm({
    ...{ start, socket, lower, kills, dice: throwDice },
    async damage(kill) {
      const size = (await stat(path).catch(() => undefined))?.size ?? 0
      const damage = damages[kill % damages.length]
      if (size > 0 && damage !== undefined) await damageFile(path, damage, throwDice(size))
    },
  })
  expect(report).toMatchObject({ kills })
  expect(report.reads).toBeGreaterThan(0)
  // What is left is healed by reading it.
  const { child, ready } = await start()
  try {
    await ready
    await using client = await openClient({ kind: 'unix', path: socket })
    await client.go()
    expect((await client.read(0, lower.length)).equals(lower)).toBe(true)
  } finally {
    await killScript(child)
  }
  expect((await readFile(path)).equals(lower)).toBe(true)
})

test('who reads the same cache beside them gets right bytes, and waits for none that is dead', async () => {
  await using directory = await temporaryDirectory()
  const socket = join(directory.path, 's')
  const published = await publishedLower()
  const { lower } = published
  const throwDice = dice('beside them')
  let started = 0
  const readBeside = async (path: string) => {
    const registry = new FakeRegistry(published)
    await using beside = await openLazyLower({
      ...{ index: published.index, path, readStored: registry.read },
      policy: { kind: 'hang' },
      listener: { degraded: () => {}, recovered: () => {} },
    })
    for (let offset = 0; offset < lower.length; offset += 300_000) {
      const length = Math.min(300_000, lower.length - offset)
      expect((await beside.read(offset, length)).equals(lower.subarray(offset, offset + length))).toBe(true)
    }
  }
  const reading: Promise<void>[] = []
  const start = async () => {
    // A cache that begins anew with each server: both have all of it to fetch.
    const path = join(directory.path, `data-${started}`)
    const script = new URL('./serve-published.testkit.ts', import.meta.url)
    const child = await startScript(script, [path, socket, String(started++)])
    const ready = firstLine(child)
    // It may be killed before it is ready.
    reading.push(Promise.allSettled([ready]).then(() => readBeside(path)))
    return { child, ready }
  }
  await killStorm({ start, socket, lower, kills: 6, dice: throwDice })
  await Promise.all(reading)
})
