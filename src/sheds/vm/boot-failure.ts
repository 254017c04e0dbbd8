import { open } from 'node:fs/promises'
import { isProblem, Problem, printable } from '../../base/index.ts'

/** How much of a console is worth quoting. */
const tailBytes = 16 * 1024
const quotedLines = 12

interface BootAttempt {
  readonly name: string
  readonly consolePath: string
  /** Where in the console this boot began, in bytes. */
  readonly from: number
}

/**
 * The problem that says why a boot failed: what the host saw, and what the guest printed about it. A problem that is not about the boot
 * (cancelled, no space, no kernel) passes through.
 */
export async function bootFailureSince(error: unknown, attempt: BootAttempt): Promise<Problem> {
  if (isProblem(error) && !['BOOT_FAILED', 'AGENT_UNREACHABLE', 'AGENT_PROTOCOL'].includes(error.code)) return error
  const lines = await consoleTail(attempt)
  const failure = lines.find((line) => line.includes('cowshed: boot failure'))
  const seen = error instanceof Error ? error.message : String(error)
  const why =
    failure === undefined ? seen : failure.slice(failure.indexOf('cowshed: boot failure') + 'cowshed: '.length)
  return new Problem('BOOT_FAILED', `the shed ${attempt.name} did not boot: ${why}`, {
    hint:
      lines.length === 0
        ? `the guest printed nothing; is the acceleration right? run: cowshed doctor`
        : `the end of its console:\n${lines.map((line) => `  | ${line}`).join('\n')}`,
    cause: error,
    data: { console: attempt.consolePath },
  })
}

async function consoleTail({ consolePath, from }: BootAttempt): Promise<string[]> {
  const text = await readEnd(consolePath, from)
  return text
    .split(/\r?\n/)
    .map((line) => printable(line).trimEnd())
    .filter((line) => line !== '')
    .slice(-quotedLines)
}

async function readEnd(path: string, from: number): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    // A console that was truncated since the boot began starts anew.
    const start = Math.max(from > size ? 0 : from, size - tailBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start)
    return buffer.toString('utf8', 0, bytesRead)
  } catch {
    // No console is what a VM that never started leaves; the problem is told without it.
    return ''
  }
}
