import { isProblem, Problem } from '../../base/index.ts'
import { isLocked } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import type { LiveShed } from './live-shed.ts'

/**
 * Does what needs the VM of a shed, and leaves it as it was when it fails, inside its transition. What fails because that dies meanwhile says so: who is at it hears of
 * sockets that are gone.
 *
 * @throws Problem SHED_NOT_RUNNING with how it ended; whatever `work` throws while it lives
 */
export async function whileItLives<T>(
  { layout }: Pick<ShedsContext, 'layout'>,
  live: LiveShed,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (await isLocked(layout.shed(live.name).vmmLock)) throw withReassurance(error, live.name)
    throw new Problem('SHED_NOT_RUNNING', await live.howItEnded(), {
      hint: `what it had written to its disk is there: cowshed start ${live.name}`,
      cause: error,
    })
  }
}

/** Of a disk that is full the first thing that one wants to know is whether anything was lost. */
function withReassurance(error: unknown, name: string): unknown {
  if (!isProblem(error, 'NO_SPACE')) return error
  const { message, hint = 'make room' } = error
  return new Problem('NO_SPACE', message, { hint: `${name} goes on as it was; ${hint}`, cause: error })
}
