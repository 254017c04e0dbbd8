import type { Descriptor } from '../oci/descriptor.ts'
import { layerCompression } from '../oci/media-types.ts'
import type { Manifest } from '../oci/parse-manifest.ts'

/** Of layers that are erofs images as they are: as IANA has it, and as containerd had it first. */
const erofsTypes: readonly string[] = ['application/vnd.erofs', 'application/vnd.erofs.layer.v1']
/** Names a layer by its digest, whatever its type. */
const erofsAnnotation = 'io.shed.rootfs.erofs.digest'

/**
 * The one layer of a manifest that is its whole root filesystem, as an erofs image that is not compressed as a whole.
 *
 * @returns undefined when there is none, or several, which would have to be put upon each other
 * @see https://www.iana.org/assignments/media-types/application/vnd.erofs
 */
export function plainErofs({ annotations, layers }: Manifest): Descriptor | undefined {
  const named = annotations?.[erofsAnnotation]
  const [first, ...others] = layers.filter(({ mediaType, digest }) =>
    named === undefined
      ? erofsTypes.includes(mediaType)
      : digest === named && layerCompression(mediaType) === undefined,
  )
  return others.length === 0 ? first : undefined
}
