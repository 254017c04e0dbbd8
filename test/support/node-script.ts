import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { bundleScript } from './bundle-script.ts'

/** Starts a TypeScript module as a program of its own, for tests that need a process to kill. */
export async function startScript(
  module: URL,
  args: readonly string[],
  stdio: readonly (number | 'pipe')[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<ChildProcess> {
  const [program, ...words] = await scriptCommand(module, args)
  return spawn(program, words, {
    stdio: ['ignore', 'pipe', 'inherit', ...stdio],
    env: { ...process.env, ...env },
  })
}

/** The command line of such a program, for another program to run. */
export async function scriptCommand(module: URL, args: readonly string[]): Promise<[string, ...string[]]> {
  return [process.execPath, '--enable-source-maps', await bundleScript(module), ...args]
}

/** Runs such a program to its end. `env` is added to the environment of the tests. */
export async function runScript(
  module: URL,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ScriptEnd> {
  const child = await startScript(module, args, [], env)
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
  return (await firstMatch(child.stdout, /^.*(?=\n)/))[0]
}

/** The first match in what a program says; the rest of what it says is left to whoever reads on. */
export async function firstMatch(output: Readable | null, pattern: RegExp): Promise<RegExpExecArray> {
  let text = ''
  for await (const chunk of output?.iterator({ destroyOnReturn: false }) ?? []) {
    text += String(chunk)
    const match = pattern.exec(text)
    if (match !== null) return match
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
