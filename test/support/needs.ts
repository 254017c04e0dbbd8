import { accessSync, constants } from 'node:fs'

export interface Needs {
  readonly root?: true
  /** Programs that must be on PATH. */
  readonly tools?: readonly string[]
}

/**
 * Whether this machine has what a test needs, for `test.runIf(needs({…}))`. What is missing is said loudly; on CI nothing may be skipped, so
 * there it is an error.
 */
export function needs({ root, tools = [] }: Needs): boolean {
  const missing = tools.filter((tool) => !isOnPath(tool)).map((tool) => `the program ${tool}`)
  if (root === true && process.getuid?.() !== 0) missing.unshift('root')
  if (missing.length === 0) return true
  const message = `SKIPPED: a test needs ${missing.join(', ')}`
  if (process.env.CI) throw new Error(`${message}; on CI nothing is skipped`)
  console.warn(message)
  return false
}

export function isOnPath(tool: string): boolean {
  const directories = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`.split(':')
  return directories.some((directory) => isExecutable(`${directory}/${tool}`))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
