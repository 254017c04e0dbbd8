import { type Space, spaceTable } from './space.ts'

/**
 * The same spaces seen by other owners: those of files, say, by the things that have the files. An owner goes when all that have it go.
 *
 * @param ownersOf the new owners of an old one; none for what stays for good
 */
export function regroup(spaces: readonly Space[], ownersOf: (owner: number) => readonly number[]): Space[] {
  const table = spaceTable()
  for (const { owners, others, bytes } of spaces) {
    const found = new Set<number>()
    let stays = false
    for (const owner of owners) {
      const now = ownersOf(owner)
      stays ||= now.length === 0
      for (const one of now) found.add(one)
    }
    const sorted = [...found].sort((a, b) => a - b)
    table.add(sorted.join(), stays ? 'some' : others, bytes, () => sorted)
  }
  return table.done()
}
