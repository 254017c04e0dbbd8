import { readFileSync } from 'node:fs'

/** Where cgroups of version 2 are on this host. @returns undefined when it has none @see cgroups(7), proc(5) on mountinfo */
export function cgroupMount(): string | undefined {
  return process.platform === 'linux' ? mountIn(readFileSync('/proc/self/mountinfo', 'utf8')) : undefined
}

/** The part of the hierarchy that is mounted may be any, as in a container: what is below it is what can be used. */
export function mountIn(mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    if (after.startsWith('cgroup2 ')) return before.split(' ')[4]
  }
  return undefined
}
