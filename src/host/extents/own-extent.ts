import { type Extents, extentList } from './extent-source.ts'

/** Below zero, where nothing else is. */
let next = 0

/** So many bytes that nobody shares, at an address that is made up: for a file of which no more is known. */
export function ownExtent(bytes: number): Extents {
  const list = extentList()
  next -= bytes
  if (bytes > 0) list.add(next, bytes)
  return list.done()
}
