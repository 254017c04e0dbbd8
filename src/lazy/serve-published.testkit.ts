/**
 * Serves the lower of `publishedLower` as a block device until it is killed, from a registry in memory that often fails: `node serve-published.testkit.js FILE SOCKET SEED`. Prints
 * a line when it can be connected to.
 */
import { dice } from '../../test/support/dice.ts'
import { PassingProblem, serveNbd } from '../wires/index.ts'
import { openLazyLower } from './index.ts'
import { FakeRegistry, publishedLower } from './published.testkit.ts'

const [path = '', socket = '', seed = ''] = process.argv.slice(2)
const published = await publishedLower()
const registry = new FakeRegistry(published)
const throwDice = dice(seed)
registry.always = (bytes) => {
  switch (throwDice(12)) {
    case 0:
      throw new PassingProblem('REGISTRY_UNREACHABLE', 'nobody answers')
    case 1:
      return bytes.subarray(0, throwDice(bytes.length))
    case 2: {
      const wrong = Buffer.from(bytes)
      const at = throwDice(bytes.length)
      wrong[at] = (wrong[at] ?? 0) ^ 1
      return wrong
    }
    default:
      return bytes
  }
}
const lower = await openLazyLower({
  ...{ index: published.index, path, readStored: registry.read },
  policy: { kind: 'fail', afterMs: 60_000 },
  listener: { degraded: () => {}, recovered: () => {} },
})
await serveNbd(lower, { kind: 'unix', path: socket })
console.log('ready')
