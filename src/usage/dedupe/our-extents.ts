import type { FileMapper } from '../../host/index.ts'
import type { Parts, WholeExtents } from './find-segments.ts'

/** Whether as many references to an extent are known as there are, where they are counted: nobody else keeps it then. */
export function ourExtents(
  { references }: Pick<FileMapper, 'references'>,
  { extent }: Parts,
  { address }: WholeExtents,
): (extent: number) => boolean {
  if (references === undefined) return () => true
  const known = new Float64Array(address.length)
  for (const number of extent) known[number] = (known[number] ?? 0) + 1
  const order = new Uint32Array(address.length).map((_, at) => at)
  order.sort((a, b) => (address[a] ?? 0) - (address[b] ?? 0))
  const counted = references(Float64Array.from(order, (number) => address[number] ?? 0))
  const isOurs = new Uint8Array(address.length)
  for (const [at, number] of order.entries()) isOurs[number] = counted[at] === known[number] ? 1 : 0
  return (number) => isOurs[number] === 1
}
