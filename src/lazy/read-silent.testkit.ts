/**
 * Reads a leaf of the lower of `publishedLower` from a registry that never answers, until it is killed: `node read-silent.testkit.js FILE LEAF`. The bootstrap is in the file. Prints a line
 * when the registry has been asked.
 */
import { leafBytes } from '../formats/index.ts'
import { openLazyLower } from './index.ts'
import { FakeRegistry, publishedLower } from './published.testkit.ts'

const [path = '', leaf = ''] = process.argv.slice(2)
const published = await publishedLower()
const registry = new FakeRegistry(published)
registry.always = () => {
  console.log('asked')
  return new Promise(() => {})
}
const lower = await openLazyLower({
  ...{ index: published.index, path, readStored: registry.read },
  policy: { kind: 'hang' },
  listener: { degraded: () => {}, recovered: () => {} },
})
// Nothing else keeps it alive.
setInterval(() => {}, 1000)
await lower.read(Number(leaf) * leafBytes, 1)
