/** A program that makes two tokens and then one after another that it revokes, until it is killed: `create-tokens.testkit.ts <data directory>`. It prints the first. */
import { writeSync } from 'node:fs'
import { dataLayout } from '../../base/index.ts'
import { openTokens } from './tokens.ts'

const tokens = await openTokens({ layout: dataLayout(process.argv[2] ?? '') })
const [{ token }] = await Promise.all([tokens.create({ readOnly: false }), tokens.create({ readOnly: true })])
writeSync(1, `${token}\n`)
for (;;) {
  const { id } = await tokens.create({ readOnly: false })
  await tokens.revoke(id)
}
