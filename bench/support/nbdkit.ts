import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { killScript } from '../../test/support/node-script.ts'

/** nbdkit on a unix socket, when it listens. @param words filters, plugin and their parameters */
export async function startNbdkit(socket: string, words: readonly string[]): Promise<AsyncDisposable> {
  const pidFile = `${socket}.pid`
  const args = ['--foreground', '--readonly', '--pidfile', pidFile, '--unix', socket, ...words]
  const child = spawn('nbdkit', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('nbdkit ended')))
  ended.catch(() => {})
  // It writes its pid when it listens.
  while (!(await isThere(pidFile))) await Promise.race([sleep(2), ended])
  return { [Symbol.asyncDispose]: () => killScript(child) }
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
