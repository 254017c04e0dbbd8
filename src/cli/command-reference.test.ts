import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandReference } from './command-reference.testkit.ts'

test('docs/cli.md says what the commands are', async () => {
  await expect(await commandReference()).toMatchFileSnapshot(join(import.meta.dirname, '../../docs/cli.md'))
})
