import type { Digest } from '../base/index.ts'
import { parseReference } from '../formats/index.ts'
import { type ImageLocation, locateImage } from '../wires/index.ts'
import { fullTag } from './find-image.ts'

/** A reference as the name of something in a registry. */
export interface RemoteName extends ImageLocation {
  readonly digest: Digest | undefined
  /** What the store calls it: undefined for a digest alone. */
  readonly tag: string | undefined
}

/** @throws Problem INVALID_REQUEST when it is no reference */
export function remoteName(text: string): RemoteName {
  const reference = parseReference(text)
  const { name, tag, digest } = reference
  return { ...locateImage(reference), digest, tag: tag === undefined ? undefined : fullTag(`${name}:${tag}`) }
}
