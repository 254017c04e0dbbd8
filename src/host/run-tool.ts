import { type ChildProcess, spawn } from 'node:child_process'
import { basename } from 'node:path'
import { errnoCode, Problem, printableBytes, problemFromSystem } from '../base/index.ts'
import { readLines } from './read-lines.ts'
import { packageOf } from './tool-packages.ts'

export interface RunToolOptions {
  /** What the tool reads on its standard input; nothing when left out. */
  readonly input?: Uint8Array | string
  /** 60,000 when left out. */
  readonly timeoutMs?: number
  /** Most bytes of stdout, and of stderr, that are kept in memory; a tool that writes more is stopped. 16 MiB when left out. */
  readonly maxOutputBytes?: number
  readonly cwd?: string
  /** Added to the environment of this process; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Exit codes that are no failure; [0] when left out. */
  readonly okCodes?: readonly number[]
  readonly signal?: AbortSignal
  /** Hears each line of both outputs as it comes; then what is kept of each is its end, and maxOutputBytes does not count. */
  readonly onLine?: (line: string) => void
}

export interface ToolResult {
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly code: number
}

/**
 * Runs a program to its end, without a shell, and gives back what it printed. It gets a process group of its own, so that a tool that is
 * stopped takes its children with it. /usr/sbin and /sbin are searched after PATH, and its messages are in English.
 *
 * @throws Problem TOOL_NOT_FOUND with the package to install; NO_SPACE when that is what it complains of; TOOL_FAILED with the tail of stderr (data: command, args, code or signal);
 *   LIMIT_EXCEEDED for too much output; CANCELLED; PERMISSION_DENIED
 */
export async function runTool(
  command: string,
  args: readonly string[],
  options: RunToolOptions = {},
): Promise<ToolResult> {
  const { input, timeoutMs = 60_000, maxOutputBytes = 16 * 1024 * 1024, okCodes = [0], signal } = options
  if (signal?.aborted) throw cancelled(command)
  const child = spawn(command, args, {
    detached: true,
    stdio: 'pipe',
    env: toolEnvironment({ LC_ALL: 'C.UTF-8', ...options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  let stopped: Problem | undefined
  const stop = (why: Problem) => {
    stopped ??= why
    killGroup(child)
  }
  const onAbort = () => stop(cancelled(command))
  const timer = setTimeout(() => stop(timedOut(command, args, timeoutMs)), timeoutMs)
  signal?.addEventListener('abort', onAbort)
  try {
    const overflow = () => stop(tooMuch(command, maxOutputBytes))
    const { onLine } = options
    const [stdout, stderr] = [child.stdout, child.stderr].map((pipe) =>
      onLine === undefined ? collect(pipe, maxOutputBytes, overflow) : readLines(pipe, onLine),
    )
    // A tool may end without reading its input (EPIPE): its exit code is what tells.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const ended = await ending(child)
    if (stopped !== undefined) throw stopped
    const result = { stdout: Buffer.concat(stdout ?? []), stderr: Buffer.concat(stderr ?? []), code: ended.code ?? -1 }
    if (ended.code === null || !okCodes.includes(ended.code)) throw toolFailed(command, args, result, ended.signal)
    return result
  } catch (error) {
    throw spawnProblem(error, command, options.cwd)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

/** The environment that a program is started with: ours and `extra`, with the system's directories on its PATH. */
export function toolEnvironment(extra: RunToolOptions['env'] = {}): NodeJS.ProcessEnv {
  const env = { ...process.env, ...extra }
  return { ...env, PATH: `${env.PATH || '/usr/local/bin:/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin` }
}

/** A Problem for a program that could not be started at all. */
export function spawnProblem(error: unknown, command: string, cwd?: string): Problem {
  if (errnoCode(error) !== 'ENOENT') return problemFromSystem(error, `run ${command}`)
  // Node says ENOENT of the command when it is the working directory that is missing.
  const where = cwd === undefined ? '' : ` (or there is no directory ${cwd})`
  return new Problem('TOOL_NOT_FOUND', `the program ${command} is not installed${where}`, {
    hint: `run: apt install ${packageOf(basename(command))}`,
    cause: error,
    data: { command },
  })
}

function collect(pipe: NodeJS.ReadableStream, limit: number, overflow: () => void): Buffer[] {
  const chunks: Buffer[] = []
  let bytes = 0
  pipe.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= limit) chunks.push(chunk)
    else overflow()
  })
  return chunks
}

function ending(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // ESRCH: it has just ended by itself.
  }
}

function toolFailed(command: string, args: readonly string[], result: ToolResult, signal: string | null): Problem {
  const how = signal === null ? `failed with exit code ${result.code}` : `was ended by ${signal}`
  const said = tail(result.stderr) || tail(result.stdout)
  // strerror(ENOSPC): LC_ALL sees to it that every tool says it so.
  const code = signal === null && said.includes('No space left on device') ? 'NO_SPACE' : 'TOOL_FAILED'
  return new Problem(code, `${command} ${how}${said === '' ? '' : `: ${said}`}`, {
    data: { command, args: [...args], ...(signal === null ? { code: result.code } : { signal }) },
  })
}

/** The last lines of what a tool said, on one line. */
function tail(output: Buffer): string {
  const lines = output.subarray(-2048).toString('latin1').trim().split('\n').slice(-5)
  return lines.map((line) => printableBytes(Buffer.from(line.trim(), 'latin1'))).join(' | ')
}

function timedOut(command: string, args: readonly string[], timeoutMs: number): Problem {
  return new Problem('TOOL_FAILED', `${command} had not finished after ${timeoutMs} ms and was stopped`, {
    data: { command, args: [...args], timeoutMs },
  })
}

function tooMuch(command: string, limit: number): Problem {
  return new Problem('LIMIT_EXCEEDED', `${command} wrote more than ${limit} bytes and was stopped`)
}

function cancelled(command: string): Problem {
  return new Problem('CANCELLED', `${command} was stopped on request`)
}
