import { printableBytes } from '../../../src/base/index.ts'
import type { ByteName } from '../../../src/formats/index.ts'
import type { PathFacts, TreeSnapshot } from '../snapshot-tree.ts'

/** What a shed has of its own at the first boot: its agent writes them, see guest/src/identity.c. */
const identity: readonly ByteName[] = ['etc/hostname', 'etc/hosts', 'etc/machine-id', 'etc/resolv.conf']
/** Directories that the agent makes to mount on, when an image has none: guest/src/mounts.c. */
const mountPoints: readonly ByteName[] = ['dev', 'proc', 'run', 'sys', 'tmp']

/**
 * Every difference between what an image says and what a guest that was just booted from it has, as lines for people. Three things are no
 * differences: what a shed has of its own, with the times of the directories that it is in; that overlayfs counts one link for a directory that is
 * in upper and lower; and that it hides character devices 0:0 and xattrs of its own, as `image load` warns.
 */
export function differences(expected: TreeSnapshot, found: TreeSnapshot): string[] {
  const own = new Set([...identity, ...mountPoints.filter((path) => !expected.has(path))])
  const touched = new Set([...own].map(parentOf))
  const paths = [...new Set([...expected.keys(), ...found.keys()])].sort()
  return paths.flatMap((path) => {
    const [want, have] = [expected.get(path), found.get(path)]
    if (own.has(path) || isHidden(want))
      return isHidden(want) && have !== undefined ? [line(path, 'a whiteout is seen')] : []
    if (want === undefined)
      return path === 'etc' ? [] : [line(path, `is in the guest, not in the image (${have?.type})`)]
    if (have === undefined) return [line(path, `is in the image, not in the guest (${want.type})`)]
    return factDifferences(want, have, { isTouched: touched.has(path) }).map((text) => line(path, text))
  })
}

function factDifferences(want: PathFacts, have: PathFacts, { isTouched }: { readonly isTouched: boolean }): string[] {
  const names = [...new Set([...Object.keys(want), ...Object.keys(have)])] as (keyof PathFacts)[]
  return names.flatMap((name) => {
    if (isTouched && (name === 'mtime' || name === 'links')) return []
    if (name === 'links' && want.type === 'directory' && have.links === 1) return []
    const [wanted, got] = [shown(want[name]), shown(have[name])]
    return wanted === got ? [] : [`${name} is ${got}, not ${wanted}`]
  })
}

function shown(value: PathFacts[keyof PathFacts]): string {
  if (typeof value !== 'object') return printableBytes(Buffer.from(String(value), 'latin1'))
  const kept = Object.entries(value).filter(([name]) => !/^(?:trusted|user)\.overlay\./.test(name))
  return printableBytes(Buffer.from(kept.map(([name, hex]) => `${name}=${hex}`).join(' '), 'latin1'))
}

function isHidden(facts: PathFacts | undefined): boolean {
  return facts?.type === 'char' && facts.device === '0:0'
}

function parentOf(path: ByteName): ByteName {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

function line(path: ByteName, text: string): string {
  return `/${printableBytes(Buffer.from(path, 'latin1'))}: ${text}`
}
