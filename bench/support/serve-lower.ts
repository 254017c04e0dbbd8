/**
 * Serves a lower that is all in its cache, until it is killed: `node serve-lower.js FILE SOCKET [watched]`. Prints a line when it can be connected to; on SIGTERM, when it is watched, another with the 99th percentile
 * of how long its event loop let others wait since the first read, in milliseconds, and ends.
 */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { digestOf } from '../../src/base/index.ts'
import { LeafHasher } from '../../src/formats/index.ts'
import { openLazyLower } from '../../src/lazy/index.ts'
import { serveNbd } from '../../src/wires/index.ts'

const [path = '', socket = ''] = process.argv.slice(2)
const chunkBytes = 1 << 20
const hasher = new LeafHasher()
for await (const piece of createReadStream(path, { highWaterMark: chunkBytes })) hasher.update(piece as Buffer)
const { size } = await stat(path)
// A bootstrap, which is verified before anybody can connect, and what is verified when it is read.
const parts = [1, size / chunkBytes - 1].map((chunks) => {
  const lengths = new Uint32Array(chunks).fill(chunkBytes)
  return { digest: digestOf('never fetched'), lengths, storedLengths: lengths }
})
const lower = await openLazyLower({
  index: { writerVersion: 0, profile: 'plain', parts, leaves: hasher.finish() },
  path,
  readStored: () => {
    throw new Error('all of it is here')
  },
  policy: { kind: 'hang' },
  listener: { degraded: () => {}, recovered: () => {} },
})
const resolution = 1
const delays = monitorEventLoopDelay({ resolution })
const watched = {
  bytes: lower.bytes,
  read(offset: number, length: number) {
    delays.enable()
    return lower.read(offset, length)
  },
  readAtOnce: (offset: number, bytes: Buffer) => lower.readAtOnce?.(offset, bytes) === true,
  hint: lower.hint.bind(lower),
  runAt: lower.runAt.bind(lower),
}
await serveNbd(process.argv[4] === 'watched' ? watched : lower, { kind: 'unix', path: socket })
process.once('SIGTERM', () => {
  delays.disable()
  // What it measures is the time between two looks.
  console.log(Math.max(0, delays.percentile(99) / 1e6 - resolution))
  process.exit()
})
console.log('ready')
