import { open, rm, truncate } from 'node:fs/promises'
import { punchHole } from '../host/index.ts'
import { keystream } from '../wires/registry/registry.testkit.ts'

/** What can become of a file while nobody has it open. */
export const damages = ['flip', 'zeros', 'hole', 'foreign', 'cut', 'long', 'gone'] as const
export type Damage = (typeof damages)[number]

/** @param at where in the file, in bytes; of `long`, how much longer it becomes */
export async function damageFile(path: string, damage: Damage, at: number): Promise<void> {
  switch (damage) {
    case 'cut':
      return await truncate(path, at)
    case 'gone':
      return await rm(path)
    default:
      return await alter(path, damage, at)
  }
}

const stretch = 100_000

async function alter(path: string, damage: 'flip' | 'zeros' | 'hole' | 'foreign' | 'long', at: number): Promise<void> {
  await using file = await open(path, 'r+')
  const { size } = await file.stat()
  const length = Math.max(1, Math.min(stretch, size - at))
  switch (damage) {
    case 'flip': {
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
      await file.write(Buffer.of((buffer[0] ?? 0) ^ 0x10), 0, 1, at)
      break
    }
    case 'zeros':
      await file.write(Buffer.alloc(length), 0, length, at)
      break
    case 'foreign':
      await file.write(keystream(length, 99), 0, length, at)
      break
    case 'hole':
      await punchHole(file.fd, at, length)
      break
    case 'long':
      await file.truncate(size + at)
  }
}
