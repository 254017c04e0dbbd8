import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dice } from '../../test/support/dice.ts'
import { firstLine, killScript, startScript } from '../../test/support/node-script.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { openClient } from '../wires/nbd/nbd.testkit.ts'
import { damageFile, damages } from './damage.testkit.ts'
import { killStorm } from './kill-storm.testkit.ts'
import { publishedLower } from './published.testkit.ts'

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
