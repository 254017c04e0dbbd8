/**
 * Serves a lower that is all in its cache, until it is killed: `node serve-lower.js FILE SOCKET`. Prints a line when it can be connected to.
 */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { digestOf } from '../../src/base/index.ts'
import { LeafHasher } from '../../src/formats/index.ts'
import { openLazyLower } from '../../src/lazy/index.ts'
import { serveNbd } from '../../src/wires/index.ts'

const [path = '', socket = ''] = process.argv.slice(2)
const chunkBytes = 1 << 20
const hasher = new LeafHasher()
for await (const piece of createReadStream(path, { highWaterMark: chunkBytes })) hasher.update(piece as Buffer)
const { size } = await stat(path)
const lengths = new Uint32Array(size / chunkBytes).fill(chunkBytes)
const part = { digest: digestOf('never fetched'), lengths, storedLengths: lengths }
const lower = await openLazyLower({
  index: { writerVersion: 0, profile: 'plain', parts: [part], leaves: hasher.finish() },
  path,
  readStored: () => {
    throw new Error('all of it is here')
  },
  policy: { kind: 'hang' },
  listener: { degraded: () => {}, recovered: () => {} },
})
await serveNbd(lower, { kind: 'unix', path: socket })
console.log('ready')
