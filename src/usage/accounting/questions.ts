import { addBytes, type Bytes, freeable, noBytes, type Space } from './space.ts'

/** What all owners together have on disk. */
export function union(spaces: readonly Space[]): Bytes {
  return spaces.reduce((sum, { bytes }) => addBytes(sum, bytes), noBytes)
}

/** What each owner has on disk, shared or not. @param owners how many there are */
export function held(spaces: readonly Space[], owners: number): Bytes[] {
  const sums = new Array<Bytes>(owners).fill(noBytes)
  for (const space of spaces) for (const owner of space.owners) add(sums, owner, space.bytes)
  return sums
}

/** What each owner's removal would free, if it alone went. */
export function exclusive(spaces: readonly Space[], owners: number): Bytes[] {
  const sums = new Array<Bytes>(owners).fill(noBytes)
  for (const space of spaces) {
    const [owner, another] = space.owners
    if (owner !== undefined && another === undefined) add(sums, owner, freeable(space))
  }
  return sums
}

/** What the removal of all of these would free. */
export function freed(spaces: readonly Space[], going: ReadonlySet<number>): Bytes {
  return spaces
    .filter(({ owners }) => owners.every((owner) => going.has(owner)))
    .reduce((sum, space) => addBytes(sum, freeable(space)), noBytes)
}

/**
 * What each step of a plan frees when those before it are done: owners 0, 1, 2, … go one after the other. Their sum is what all of them free;
 * an owner of this number or above stays.
 */
export function marginal(spaces: readonly Space[], steps: number): Bytes[] {
  const sums = new Array<Bytes>(steps).fill(noBytes)
  for (const space of spaces) {
    // Owners are ascending: the last of them to go frees it.
    const last = space.owners.at(-1)
    if (last !== undefined && last < steps) add(sums, last, freeable(space))
  }
  return sums
}

/** With whom one owner shares how much. What three share is shared with each of the other two. */
export function sharedWith(spaces: readonly Space[], owner: number): Map<number, Bytes> {
  const shares = new Map<number, Bytes>()
  for (const { owners, bytes } of spaces) {
    if (!owners.includes(owner)) continue
    for (const other of owners) if (other !== owner) shares.set(other, addBytes(shares.get(other) ?? noBytes, bytes))
  }
  return shares
}

/** In a space of more owners than this only the first ones count as company: a thousand clones of one template are nobody's news. */
const companyOf = 8

/** For each owner the few with whom it shares most, most first. */
export function closest(spaces: readonly Space[], owners: number, few: number): number[][] {
  const shares = Array.from({ length: owners }, () => new Map<number, number>())
  for (const space of spaces) {
    const company = space.owners.slice(0, companyOf)
    for (const owner of space.owners) {
      const known = shares[owner]
      for (const other of company) {
        if (other !== owner) known?.set(other, (known.get(other) ?? 0) + space.bytes.atMost)
      }
    }
  }
  return shares.map((known) =>
    [...known]
      .sort(([a, bytesA], [b, bytesB]) => bytesB - bytesA || a - b)
      .slice(0, few)
      .map(([other]) => other),
  )
}

function add(sums: Bytes[], at: number, bytes: Bytes): void {
  sums[at] = addBytes(sums[at] ?? noBytes, bytes)
}
