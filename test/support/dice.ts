import { createHash } from 'node:crypto'

/** Numbers that follow no rule, the same ones each time. @returns one of 0 to `sides` - 1 */
export type Dice = (sides: number) => number

export function dice(seed: string): Dice {
  let thrown = 0
  return (sides) => createHash('sha256').update(`${seed} ${thrown++}`).digest().readUInt32LE() % sides
}
