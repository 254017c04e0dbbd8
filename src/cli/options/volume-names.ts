import { parseName } from '../../base/index.ts'
import { collectNames } from './collect-names.ts'

export function volumeName(text: string): string {
  return parseName(text, 'volume name')
}

export const volumeNames = collectNames('volume name')
