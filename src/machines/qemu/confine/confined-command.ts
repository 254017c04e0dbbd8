import { statSync } from 'node:fs'
import type { MachineSpec } from '../../driver.ts'
import { type VmUser, vmUser } from './vm-user.ts'

export interface ConfinedCommand {
  readonly command: string
  readonly args: readonly string[]
}

export interface Confine extends ConfinedCommand {
  readonly acceleration: MachineSpec['acceleration']
  /** The machine's cgroup, if it has one. */
  readonly cgroup?: string | undefined
}

/**
 * What is to be executed for QEMU to run in a cgroup and as a user of its own. Each program executes the next, so that the process which is
 * spawned is QEMU in the end, and what it inherits is QEMU's; QEMU begins with no right that it would have to give up.
 */
export function confinedCommand({ command, args, acceleration, cgroup }: Confine): ConfinedCommand {
  const user = vmUser()
  const asUser =
    user === undefined ? [command, ...args] : ['setpriv', ...privileges(user, acceleration), command, ...args]
  if (cgroup !== undefined) return { command: 'sh', args: ['-c', enterCgroup, `${cgroup}/cgroup.procs`, ...asUser] }
  const [first = command, ...rest] = asUser
  return { command: first, args: rest }
}

/** Before it has any memory of its own, all of which is then counted. */
const enterCgroup = 'echo $$ > "$0" && exec "$@"'

/** Nothing but to listen on any port of this host, for forwards. @see setpriv(1), capabilities(7) */
function privileges({ uid, gid }: VmUser, acceleration: MachineSpec['acceleration']): string[] {
  const capabilities = '-all,+net_bind_service'
  return [
    ...[`--reuid=${uid}`, `--regid=${gid}`],
    ...(acceleration === 'kvm' ? [`--groups=${statSync('/dev/kvm').gid}`] : ['--clear-groups']),
    ...[`--bounding-set=${capabilities}`, `--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`],
    ...['--no-new-privs', '--'],
  ]
}
