import type { ByteName } from '../../formats/index.ts'
import { invalidEntry } from './invalid-entry.ts'

/** NAME_MAX of Linux. */
export const maxNameBytes = 255
/** PATH_MAX of Linux. */
const maxPathBytes = 4096

const slash = 0x2f

/**
 * The components of a path of a layer, from the root of the image. A leading `/` or `./` and empty components say nothing; `..` is refused,
 * because appliers disagree on what it means there.
 *
 * @throws Problem LAYER_INVALID
 */
export function parseLayerPath(path: Buffer): ByteName[] {
  if (path.length > maxPathBytes)
    throw invalidEntry(path, `a path of ${path.length} bytes is longer than ${maxPathBytes}`)
  if (path.includes(0)) throw invalidEntry(path, 'a path holds a NUL')
  const components: ByteName[] = []
  for (let start = 0; start <= path.length; ) {
    const found = path.indexOf(slash, start)
    const end = found < 0 ? path.length : found
    const name = path.toString('latin1', start, end)
    if (name === '..') throw invalidEntry(path, 'a path goes up with ".."')
    if (name.length > maxNameBytes) {
      throw invalidEntry(path, `a name of ${name.length} bytes is longer than ${maxNameBytes}`)
    }
    if (name !== '' && name !== '.') components.push(name)
    start = end + 1
  }
  return components
}

export type Meaning =
  | { readonly kind: 'addition' }
  | { readonly kind: 'whiteout'; readonly name: ByteName }
  | { readonly kind: 'opaque' }
  | { readonly kind: 'ignored' }

const whiteoutPrefix = '.wh.'
/** Names that AUFS keeps its own books under. */
const aufsPrefix = '.wh..wh.'
const opaqueMarker = '.wh..wh..opq'

/**
 * What an entry is there for. Only the last name counts: `.wh.etc/passwd` is a file in a directory of an odd name, and so is a directory
 * that is itself called `.wh.etc`: a whiteout is a file.
 *
 * @throws Problem LAYER_INVALID for a whiteout of nothing, of `.` or of `..`
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md "Whiteouts"
 */
export function meaningOf(path: Buffer, components: readonly ByteName[], isDirectory: boolean): Meaning {
  const name = components.at(-1) ?? ''
  if (name === opaqueMarker && !isDirectory) return { kind: 'opaque' }
  if (components.some((component) => component.startsWith(aufsPrefix))) return { kind: 'ignored' }
  if (!name.startsWith(whiteoutPrefix)) return { kind: 'addition' }
  const hidden = name.slice(whiteoutPrefix.length)
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw invalidEntry(path, `${JSON.stringify(name)} is a whiteout of nothing that may be deleted`)
  }
  return isDirectory ? { kind: 'addition' } : { kind: 'whiteout', name: hidden }
}
