import { isProblem } from '../base/index.ts'
import type { ProgressEvent } from '../contract/index.ts'
import type { Cli } from './cli.ts'
import { errorValue, reportError } from './report-error.ts'

export interface ForEachShed<T> {
  readonly names: readonly string[]
  readonly work: (name: string, onProgress: (progress: ProgressEvent) => void) => Promise<T>
  /** What to say about one that is done. */
  readonly done: (name: string, result: T) => string
}

/**
 * Does the same to several sheds at once. Those that failed are told of on stderr and do not keep the others from being done.
 *
 * @returns the exit code: of the problem when all failed with the same one, 6 when they differ or only some failed
 */
export async function forEachShed<T>(cli: Cli, { names, work, done }: ForEachShed<T>): Promise<number> {
  const settled = await cli.withProgress((onProgress) =>
    Promise.allSettled(
      names.map((name) =>
        work(name, (progress) => onProgress({ ...progress, item: `${name} ${progress.item ?? ''}` })),
      ),
    ),
  )
  const results = settled.map((result, at) => ({ name: names[at] ?? '', result }))
  const failures = results.flatMap(({ result }) => (result.status === 'rejected' ? [result.reason as unknown] : []))
  if (cli.json) cli.printJson({ results: results.map(({ name, result }) => jsonResult(name, result)) })
  for (const { name, result } of results) {
    if (result.status === 'rejected') reportError(cli, result.reason)
    else if (!cli.json) cli.print(`${done(name, result.value)}\n`)
  }
  return exitCode(failures, names.length)
}

function jsonResult(name: string, result: PromiseSettledResult<unknown>): object {
  if (result.status === 'fulfilled') return { name, ok: true }
  return { name, ok: false, error: errorValue(result.reason) }
}

function exitCode(failures: readonly unknown[], all: number): number {
  if (failures.length === 0) return 0
  const codes = new Set(failures.map((failure) => (isProblem(failure) ? failure.exitCode : 1)))
  const [only] = codes
  return failures.length === all && codes.size === 1 && only !== undefined ? only : partial
}

const partial = 6
