/**
 * A program that makes a backup, or prunes, and kills itself with SIGKILL before its write or removal number LIMIT; it prints `done` otherwise.
 *
 *   backup|prune LIMIT HOME
 */
import { join } from 'node:path'
import { dataLayout } from '../base/index.ts'
import { backUp } from './back-up.ts'
import { hooked, localTarget } from './backups.testkit.ts'
import { openKeyRing } from './keys/key-ring.ts'
import { pruneBackups } from './prune-backups.ts'
import { openRepository } from './repository/open-repository.ts'

const [what = '', limit = '', home = ''] = process.argv.slice(2)
let changes = 0
const target = hooked(localTarget(join(home, 'repository')), (call) => {
  if (call !== 'get' && changes++ === Number(limit)) process.kill(process.pid, 'SIGKILL')
})
const keyRing = openKeyRing(dataLayout(join(home, 'data')))
// Whoever held a lock was killed.
const lockTimes = { refreshMs: 60_000, staleMs: -1, waitMs: 0 }
const repository = await openRepository({ target, keyRing, create: true, lockTimes })
const files = [{ name: 'disk', path: join(home, 'disk') }]
if (what === 'backup') await backUp({ repository, kind: 'volume', name: 'data', record: {}, files })
else await pruneBackups({ repository, keepLast: 1 })
process.stdout.write('done')
