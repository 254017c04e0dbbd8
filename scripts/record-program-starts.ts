/**
 * Records what programs read when they start, and how the lower that they are in is laid out, for src/lazy/program-starts.test.ts: `node --import tsx scripts/record-program-starts.ts`. Needs root and what the
 * benchmark `lazy` needs, whose image it is. What comes of it depends on the versions of Debian's packages: with a new recording the figures of the test are new, too.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { attachPublished, lazyOrigin } from '../bench/support/lazy-origin.ts'
import { dataLayout } from '../src/base/index.ts'
import { readLazyIndex } from '../src/lazy/index.ts'
import { encodeProgramStarts } from '../src/lazy/program-starts.testkit.ts'

await using origin = await lazyOrigin((line) => console.error(line))
const data = await mkdtemp('/tmp/cs-')
try {
  await using attached = await attachPublished({ data, host: origin.registry.host })
  const index = await readLazyIndex(dataLayout(data), attached.chunkIndex)
  if (index === undefined) throw new Error('its chunk index is not here')
  const text = encodeProgramStarts({ parts: index.parts, reads: new Map(Object.entries(origin.reads)) })
  await writeFile(join(import.meta.dirname, '../src/lazy/program-starts.json'), text)
} finally {
  await rm(data, { recursive: true, force: true })
}
