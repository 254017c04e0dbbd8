import type { ShedsContext } from '../context.ts'
import type { LiveShed } from './live-shed.ts'

/** Takes a VM into care: it is live, and idle, from now on, and when it ends without having been told to, its shed says so. */
export function watchMachine(context: ShedsContext, live: LiveShed): void {
  context.live.set(live.name, live)
  context.uses.touch(live.name)
  void live.machine.exited.then(() => {
    if (!live.ending) context.noteExit(live.name)
  })
}
