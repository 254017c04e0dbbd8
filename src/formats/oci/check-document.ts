import { Problem, printable } from '../../base/index.ts'
import type { JsonObject } from './json-document.ts'
import { isSchema1 } from './media-types.ts'

/**
 * Fields that decide what a document is. Go's JSON decoder matches names whatever their case, so `Layers` in an index is invisible to one
 * reader and the truth to another.
 */
const decisive = ['schemaVersion', 'mediaType', 'config', 'layers', 'manifests', 'fsLayers']

/**
 * Refuses documents that two readers could understand in two ways, whatever digest they have: a document is parsed as what its descriptor
 * says it is, and must not look like anything else.
 *
 * @throws Problem IMAGE_INVALID; IMAGE_UNSUPPORTED for Docker's schema 1
 * @see CVE-2021-41190, image-spec GHSA-77vh-xpmg-72qh
 */
export function checkDocument(document: JsonObject, kind: 'manifest' | 'index', mediaType: string): void {
  refuseSchema1(document, mediaType)
  for (const key of Object.keys(document)) {
    const meant = decisive.find((name) => name.toLowerCase() === key.toLowerCase())
    if (meant !== undefined && meant !== key) throw ambiguous(`it has a field ${JSON.stringify(key)} beside ${meant}`)
  }
  if (document.schemaVersion !== 2) {
    throw new Problem('IMAGE_INVALID', `the ${kind} has schemaVersion ${shown(document.schemaVersion)}, not 2`)
  }
  const own = document.mediaType
  if (own !== undefined && own !== mediaType) {
    throw ambiguous(`its own mediaType is ${shown(own)}, its descriptor says ${shown(mediaType)}`)
  }
  const others = kind === 'index' ? ['config', 'layers', 'fsLayers'] : ['manifests', 'fsLayers']
  for (const field of others) {
    if (document[field] !== undefined && document[field] !== null) throw ambiguous(`an image ${kind} has no ${field}`)
  }
}

function refuseSchema1(document: JsonObject, mediaType: string): void {
  const own = document.mediaType
  if (isSchema1(mediaType) || document.schemaVersion === 1 || (typeof own === 'string' && isSchema1(own))) {
    throw new Problem('IMAGE_UNSUPPORTED', 'the manifest is of Docker schema 1, which nothing has written since 2016', {
      hint: 'convert it: skopeo copy docker://IMAGE oci-archive:image.tar',
    })
  }
}

function ambiguous(reason: string): Problem {
  return new Problem('IMAGE_INVALID', printable(`the document can be understood in two ways: ${reason}`))
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'none').slice(0, 120)
}
