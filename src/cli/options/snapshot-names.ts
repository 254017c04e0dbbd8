import { parseName } from '../../base/index.ts'
import { collectNames } from './collect-names.ts'

export function snapshotName(text: string): string {
  return parseName(text, 'snapshot name')
}

export const snapshotNames = collectNames('snapshot name')
