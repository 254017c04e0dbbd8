import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { problemFromSystem } from '../base/index.ts'
import { processStat } from './process-start-time.ts'
import { spawnProblem, toolEnvironment } from './run-tool.ts'

export interface SpawnDetached {
  readonly command: string
  readonly args: readonly string[]
  /** Its stdout and stderr are appended here; made with mode 0600 when absent. */
  readonly logPath: string
  /** Descriptors of ours that it gets as 3, 4, …; ours stay open. */
  readonly inherit: readonly number[]
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
}

export interface DetachedProcess {
  readonly pid: number
  /** With the pid it names this process for good: processStartTime. */
  readonly startTime: string
  /** Settles when it ends while this process lives; it never rejects. */
  readonly exited: Promise<{ readonly code?: number; readonly signal?: string }>
}

/**
 * Starts a program that lives on without us: in a session of its own (setsid), with no pipe to us, and not waited for when this process
 * ends. It resolves when the program has been executed.
 *
 * @throws Problem TOOL_NOT_FOUND, NO_SPACE, PERMISSION_DENIED, IO_FAILED; nothing runs then
 */
export async function spawnDetached(options: SpawnDetached): Promise<DetachedProcess> {
  const log = openLog(options.logPath)
  try {
    const child = spawn(options.command, options.args, {
      detached: true,
      stdio: ['ignore', log, log, ...options.inherit],
      env: toolEnvironment(options.env),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    child.unref()
    return await detachedProcess(child)
  } catch (error) {
    throw spawnProblem(error, options.command, options.cwd)
  } finally {
    closeSync(log)
  }
}

async function detachedProcess(child: ChildProcess): Promise<DetachedProcess> {
  const exited = new Promise<{ code?: number; signal?: string }>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal === null ? { code: code ?? -1 } : { signal }))
  })
  // Read before the event loop can reap it: even one that has ended at once is a zombie still, with a start time.
  const stat = child.pid === undefined ? undefined : processStat(child.pid)
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  if (child.pid === undefined || stat === undefined) throw new Error('it has no entry in /proc')
  return { pid: child.pid, startTime: stat.startTime, exited }
}

function openLog(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    throw problemFromSystem(error, `open the log ${path}`)
  }
}
