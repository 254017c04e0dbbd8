import { isProblem, Problem } from '../../base/index.ts'
import { refNameAnnotation } from '../../blobs/index.ts'
import { type Descriptor, documentKind, parseIndex, parseJsonObject, parseReference } from '../../formats/index.ts'
import type { LoadRoot } from './load-source.ts'

/** What containerd and Docker call an image in full, beside a ref.name that holds only the tag. */
const containerdNameAnnotation = 'io.containerd.image.name'

/** @throws Problem IMAGE_INVALID when the bytes are not an oci-layout file, IMAGE_UNSUPPORTED for another version than 1.0.0 */
export function checkOciLayout(bytes: Uint8Array): void {
  const { imageLayoutVersion } = parseJsonObject(bytes, { noun: 'oci-layout', maxBytes: 65536 })
  if (imageLayoutVersion !== '1.0.0') {
    const found = JSON.stringify(imageLayoutVersion) ?? 'none'
    throw new Problem('IMAGE_UNSUPPORTED', `the layout is of version ${found}; 1.0.0 is the only one known`)
  }
}

/**
 * The images of the index.json of a layout, each once with all its names. What is neither a manifest nor an index is left where it is.
 *
 * @throws Problem IMAGE_INVALID, IMAGE_UNSUPPORTED, LIMIT_EXCEEDED
 */
export function rootsOfIndex(bytes: Uint8Array): LoadRoot[] {
  const roots = new Map<string, { descriptor: Descriptor; names: string[] }>()
  for (const descriptor of parseIndex(bytes).manifests) {
    if (documentKind(descriptor.mediaType) === undefined) continue
    const root = roots.get(descriptor.digest) ?? { descriptor, names: [] }
    roots.set(descriptor.digest, root)
    const name = nameOf(descriptor)
    if (name !== undefined) root.names.push(name)
  }
  return [...roots.values()]
}

function nameOf({ annotations = {} }: Descriptor): string | undefined {
  const full = annotations[containerdNameAnnotation]
  return full !== undefined && isReference(full) ? full : annotations[refNameAnnotation]
}

function isReference(text: string): boolean {
  try {
    parseReference(text)
    return true
  } catch (error) {
    if (isProblem(error)) return false
    throw error
  }
}
