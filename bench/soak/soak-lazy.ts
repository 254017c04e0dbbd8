/**
 * Serves a published image with `lazy serve`, from Debian's registry behind a proxy that makes things go wrong, and kills the process again and again while several read all over it; in
 * between, what is here of the image is damaged. Run by hand:
 *
 *     node --import tsx bench/soak/soak-lazy.ts [--kills 200] [--damages 50] [--seed 1]
 *
 * It ends with exit code 1 at the first wrong byte, and when not all of the image can be read in the end.
 */
import { spawn } from 'node:child_process'
import { stat, writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { DataLayout, Digest } from '../../src/base/index.ts'
import { openPublished, type Published } from '../../src/daemon/lazy/published-image.testkit.ts'
import { damageFile, damages } from '../../src/lazy/damage.testkit.ts'
import { killStorm } from '../../src/lazy/kill-storm.testkit.ts'
import { ensureBuilt } from '../../test/support/build.ts'
import { launcher } from '../../test/support/cowshed.ts'
import { type Dice, dice } from '../../test/support/dice.ts'
import type { Fault } from '../../test/support/fault-proxy.ts'
import { firstLine } from '../../test/support/node-script.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'

const faults: readonly Fault[] = [
  { kind: 'reset', after: 0 },
  { kind: 'reset', after: 150_000 },
  { kind: 'stall', after: 100_000 },
  { kind: 'short', after: 100_000 },
  { kind: 'corrupt', at: 2000 },
  { kind: 'ignore-range' },
  { kind: 'headers', headers: { 'content-range': 'bytes 7-1000/9999999' } },
  { kind: 'answer', status: 503 },
  { kind: 'trickle', bytesPerSecond: 200_000 },
]

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '200' },
      damages: { type: 'string', default: '50' },
      seed: { type: 'string', default: '1' },
    },
  })
  const [kills, harms] = [Number(values.kills), Number(values.damages)]
  const throwDice = dice(values.seed)
  await ensureBuilt()
  await using published = await openPublished()
  await using directory = await temporaryDirectory()
  const layout = published.newHost()
  const chunkIndex = await firstAttach(published, layout)
  const socket = join(directory.path, 's')
  const { proxy } = published.pulls
  const start = async () => {
    proxy.clear()
    for (let at = 0; at < 4; at++) proxy.fault({ path: /\/blobs\//, skip: throwDice(8) }, faultOf(throwDice))
    const words = ['--data', layout.root, 'lazy', 'serve', published.pulls.ref('team/app:1'), '--insecure']
    const child = spawn(process.execPath, [launcher, ...words, '--nbd', `unix:${socket}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return { child, ready: firstLine(child) }
  }
  let damaged = 0
  const report = await killStorm({
    ...{ start, socket, lower: published.lower, kills, dice: throwDice },
    async damage(kill) {
      if (Math.floor((kill * harms) / kills) < damaged) return
      damaged++
      await harm(layout, chunkIndex, throwDice)
    },
    onKill: ({ kills: done, reads, refused, lost }) => {
      if ((done + 1) % 20 === 0)
        console.log(`${done + 1} kills: ${reads} reads, ${refused} refused, ${lost} connections lost`)
    },
  })
  proxy.clear()
  await using attached = await published.attach(layout)
  await published.expectRight(attached)
  const { kills: killed, reads, refused } = report
  console.log(
    `good: ${killed} kills, ${damaged} damages, ${reads} right reads, ${refused} refused; load ${loadavg()[0]?.toFixed(1)}`,
  )
}

/** The digest of its chunk index, once it was here. */
async function firstAttach(published: Published, layout: DataLayout): Promise<Digest> {
  await using attached = await published.attach(layout)
  return attached.chunkIndex
}

function faultOf(throwDice: Dice): Fault {
  return faults[throwDice(faults.length)] ?? { kind: 'reset', after: 0 }
}

/** Mostly the bytes; now and then what says what they are. */
async function harm(layout: DataLayout, chunkIndex: Digest, throwDice: Dice): Promise<void> {
  const { data, chunks, record } = layout.lazyLower(chunkIndex)
  const path = [data, data, data, chunks, record][throwDice(5)] ?? data
  const size = (await stat(path).catch(() => undefined))?.size ?? 0
  const damage = damages[throwDice(damages.length)] ?? 'flip'
  if (size === 0) await writeFile(path, 'something else')
  else await damageFile(path, damage, throwDice(size))
}

await main()
