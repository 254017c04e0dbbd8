import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** Starts a TypeScript module as a program of its own, for tests that need a process to kill. */
export function startScript(
  module: URL,
  args: readonly string[],
  stdio: readonly (number | 'pipe')[] = [],
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  return spawn(process.execPath, ['--import', tsx, module.pathname, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', ...stdio],
    env: { ...process.env, ...env },
  })
}

/** Runs such a program to its end. `env` is added to the environment of the tests. */
export async function runScript(
  module: URL,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ScriptEnd> {
  const child = startScript(module, args, [], env)
  let stdout = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { stdout, code, signal }
}

export interface ScriptEnd {
  readonly stdout: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The first line that a program prints: it says there that it is ready. */
export async function firstLine(child: ChildProcess): Promise<string> {
  let text = ''
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk)
    const end = text.indexOf('\n')
    if (end >= 0) return text.slice(0, end)
  }
  throw new Error(`the program ended before it said that it was ready: ${text}`)
}

/** kill -9, and waits until it is dead. */
export async function killScript(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'exit')
  child.kill('SIGKILL')
  await closed
}
