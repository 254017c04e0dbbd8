import type { Problem } from '../../base/index.ts'
import { unreachable } from './link.ts'

export const defaultTimeoutMs = 30_000

/**
 * Waits for the guest, but not for ever.
 *
 * @param late called when the time is over, with the problem that the caller gets
 * @throws Problem AGENT_UNREACHABLE
 */
export async function inTime<T>(
  promise: Promise<T>,
  { timeoutMs, late }: { readonly timeoutMs: number; readonly late: (problem: Problem) => void },
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const problem = unreachable(`the guest did not answer within ${timeoutMs / 1000} s`)
      late(problem)
      reject(problem)
    }, timeoutMs)
  })
  try {
    return await Promise.race([promise, silence])
  } finally {
    clearTimeout(timer)
  }
}
