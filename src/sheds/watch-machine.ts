import { rm } from 'node:fs/promises'
import type { MachineExit } from '../machines/index.ts'
import { changeStatus, loadShed, type ShedsContext } from './context.ts'
import type { LiveShed } from './live-shed.ts'

/** Takes a VM into care: it is live from now on, and when it ends without having been told to, its shed says so. */
export function watchMachine(context: ShedsContext, name: string, live: LiveShed): void {
  context.live.set(name, live)
  void live.machine.exited.then((exit) => {
    live.closeAgent()
    if (!live.ending) void noteExit(context, { name, live, exit })
  })
}

/**
 * A guest that shut itself down has stopped; any other end is a crash, with its reason. Runs as a transition, so that it never cuts into one:
 * a stop or a delete that was under way has settled the shed by then, and this finds nothing to do.
 */
async function noteExit(
  context: ShedsContext,
  { name, live, exit }: { name: string; live: LiveShed; exit: MachineExit },
): Promise<void> {
  try {
    await context.transitions.run(name, async () => {
      if (context.live.get(name) !== live || live.ending) return
      context.live.delete(name)
      const record = await loadShed(context, name)
      await changeStatus(context, record, statusAfter(exit))
      await rm(context.layout.shed(name).machine, { force: true })
    })
  } catch (error) {
    // The record stays `running`, and the next daemon settles it; meanwhile `inspect` shows that no VM is live.
    context.events.append({ type: 'shed.unsettled', subject: name, message: `${exit.reason}; ${String(error)}` })
  }
}

export function statusAfter(exit: MachineExit): { status: 'stopped' | 'crashed'; reason: string } {
  const asked = exit.kind === 'powerdown' || exit.kind === 'reset'
  return { status: asked ? 'stopped' : 'crashed', reason: exit.reason }
}
