import { ensureVmUser } from '../../machines/index.ts'
import type { Check } from './check.ts'

/** Whoever breaks out of a guest is what QEMU is. */
export const confinementCheck: Check = {
  name: 'confinement',
  async look({ confinement }) {
    const { user, isRoot, bounded, unbounded } = await confinement()
    if (!isRoot) {
      const found = 'VMs run as the user of this daemon, without cgroups: only root can give them others'
      return { verdict: 'ok', found }
    }
    const groups = bounded.length === 0 ? 'no cgroup bounds them' : `a cgroup bounds the ${bounded.join(', ')} of each`
    if (user === undefined) {
      return { verdict: 'warning', found: `VMs run as root; ${groups}`, hint: 'give them a user: cowshed doctor --fix' }
    }
    const found = `VMs run as ${user}; ${groups}`
    if (unbounded.length === 0) return { verdict: 'ok', found }
    const missing = `cgroups of version 2 have no ${unbounded.join(', ')} on this host`
    return { verdict: 'ok', found: `${found} (${missing})` }
  },
  fix: async () => ((await ensureVmUser()) ? 'made a user for them' : 'there is nothing to fix'),
}
