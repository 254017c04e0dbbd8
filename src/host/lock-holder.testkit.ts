/**
 * A program that takes a lock, starts a child that inherits it, prints the child as JSON and then waits to be killed:
 * `lock-holder.testkit.ts <lock> <log>`.
 */
import { lockFile, spawnDetached } from './index.ts'

const [lockPath = '', logPath = ''] = process.argv.slice(2)
const lock = await lockFile(lockPath, { mode: 'exclusive', leftToChildren: true })
if (lock === undefined) throw new Error('it is taken')
const child = await spawnDetached({
  command: 'sh',
  args: ['-c', 'echo "started with $(readlink /proc/self/fd/3) $GREETING"; exec sleep 60'],
  logPath,
  inherit: [lock.fd],
  env: { GREETING: 'hello' },
})
lock.release()
console.log(JSON.stringify({ pid: child.pid, startTime: child.startTime }))
setInterval(() => {}, 1000)
