import { Problem } from '../../base/index.ts'
import { chunkBytes } from '../format/chunk.ts'
import type { BackupFile } from '../format/manifest.ts'

interface DamagedPiece {
  readonly backup: string
  readonly file: Pick<BackupFile, 'name' | 'bytes'>
  /** In chunks. */
  readonly at: number
  readonly chunks: number
  readonly why: string
}

export function damagedPiece({ backup, file, at, chunks, why }: DamagedPiece): Problem {
  const offset = at * chunkBytes
  const end = Math.min(offset + chunks * chunkBytes, file.bytes)
  return new Problem(
    'BACKUP_DAMAGED',
    `backup ${backup} is damaged: of ${file.name}, bytes ${offset} to ${end} cannot be had: ${why}`,
    {
      hint: 'see what else is damaged: cowshed backup verify --at PLACE; then restore another backup',
      data: { backup, file: file.name, offset, bytes: end - offset },
    },
  )
}
