import { formatSize } from '../../base/index.ts'
import type { UsageReport } from '../../contract/index.ts'

interface Part {
  readonly name: string
  readonly sign: string
  readonly bytes: number
}

/**
 * The filesystem as a bar: what one part of cowshed has alone, what several share, what others use, what is free.
 *
 * @param width of the bar, in columns
 */
export function usageBar({ totals, union_bytes: union, filesystem }: UsageReport, width: number): string {
  const { images, sheds, snapshots, volumes, caches, orphans } = totals
  const alone = [images, sheds, snapshots, volumes, caches, orphans].reduce(
    (sum, { exclusive_bytes: bytes }) => sum + bytes,
    0,
  )
  const { used_bytes: used, free_bytes: free } = filesystem
  const parts: readonly Part[] = [
    { name: 'used', sign: '█', bytes: Math.min(alone, union) },
    { name: 'shared', sign: '▓', bytes: Math.max(0, union - alone) },
    { name: 'others', sign: '▒', bytes: Math.max(0, used - union) },
    { name: 'free', sign: '░', bytes: free },
  ]
  const total = parts.reduce((sum, { bytes }) => sum + bytes, 0)
  const legend = parts.map(({ name, sign, bytes }) => `${sign} ${name} ${formatSize(bytes)}`).join('  ')
  return `${bar(parts, total, width)}\n${legend}\n`
}

/** Every part that is not nothing has a column; all of them fill the width. */
function bar(parts: readonly Part[], total: number, width: number): string {
  let drawn = ''
  let sum = 0
  for (const { sign, bytes } of parts) {
    sum += bytes
    const end = Math.round((sum / Math.max(1, total)) * width)
    drawn += sign.repeat(Math.max(bytes > 0 ? 1 : 0, end - drawn.length))
  }
  return drawn.slice(0, width)
}
