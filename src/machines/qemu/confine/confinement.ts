import { boundBy, boundControllers } from './vm-cgroup.ts'
import { vmUser, vmUserName } from './vm-user.ts'

/** How far VMMs of this host are kept from it, besides what QEMU does itself. */
export interface Confinement {
  /** The name of the user that they run as; undefined when it is the daemon's. */
  readonly user?: string | undefined
  /** Whether this process could give them one. */
  readonly isRoot: boolean
  /** What is bounded for each VM by a cgroup, of `memory`, `cpu`, `pids`. */
  readonly bounded: readonly string[]
  readonly unbounded: readonly string[]
}

/** Looks; changes nothing. */
export async function confinementOfVms(): Promise<Confinement> {
  const isRoot = process.geteuid?.() === 0
  const bounded = isRoot ? await boundControllers() : []
  return {
    ...(vmUser() === undefined ? {} : { user: vmUserName }),
    isRoot,
    bounded,
    unbounded: boundBy.filter((controller) => !bounded.includes(controller)),
  }
}
