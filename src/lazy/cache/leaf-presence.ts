import { leafBytes } from '../../formats/index.ts'
import { dataSegments } from '../../host/index.ts'
import type { LeafTruth } from './leaf-hashes.ts'

/** Which leaves of a lower seem to be here: to be looked at. What may be given is for the hashes to say. */
export class LeafPresence {
  readonly count: number
  readonly #hashes: Pick<LeafTruth, 'count' | 'lengthOf'>
  readonly #isHere: Uint8Array

  /** Of what a file seems to have: leaves that are data in it, or zeros. None of it is read. @param fd undefined when there is no file */
  static of(hashes: LeafTruth, fd: number | undefined): LeafPresence {
    const presence = new LeafPresence(hashes)
    for (let leaf = 0; leaf < hashes.count; leaf++) if (hashes.isZeros(leaf)) presence.add(leaf)
    if (fd === undefined) return presence
    for (const { offset, length } of dataSegments(fd, 0, hashes.bytes)) {
      const end = offset + length
      const until = end === hashes.bytes ? hashes.count : Math.floor(end / leafBytes)
      for (let leaf = Math.ceil(offset / leafBytes); leaf < until; leaf++) presence.add(leaf)
    }
    return presence
  }

  private constructor(hashes: Pick<LeafTruth, 'count' | 'lengthOf'>) {
    this.count = hashes.count
    this.#hashes = hashes
    this.#isHere = new Uint8Array(hashes.count)
  }

  has(leaf: number): boolean {
    return this.#isHere[leaf] === 1
  }

  add(leaf: number): void {
    this.#isHere[leaf] = 1
  }

  /** It seemed to be. */
  remove(leaf: number): void {
    this.#isHere[leaf] = 0
  }

  /** Of the lower. */
  bytes(): number {
    let bytes = 0
    for (let leaf = 0; leaf < this.count; leaf++) if (this.has(leaf)) bytes += this.#hashes.lengthOf(leaf)
    return bytes
  }
}
