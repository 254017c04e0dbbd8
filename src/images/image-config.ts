import { Problem } from '../base/index.ts'
import {
  checkImageManifest,
  checkLayerCount,
  type ImageConfig,
  type Manifest,
  plainErofs,
  platformOf,
} from '../formats/index.ts'

/**
 * What an image says of itself. One whose root filesystem is one erofs image need have no config, or has one that counts other layers: programs in it run as in an image whose config says
 * nothing, and it is for this host.
 *
 * @param config that its manifest names; undefined when that is no image config
 * @returns it, with a diff_id for each layer of the manifest
 * @throws Problem IMAGE_UNSUPPORTED for what is no image, or has layers of other types; IMAGE_INVALID when it contradicts its manifest
 */
export function imageConfigOf(manifest: Manifest, config: ImageConfig | undefined): ImageConfig {
  const blob = plainErofs(manifest)
  if (blob !== undefined) {
    const { diffIds } = config ?? saysNothing
    // It is not compressed.
    const all = manifest.layers.map(({ digest }, at) => (digest === blob.digest ? digest : (diffIds[at] ?? digest)))
    return { ...(config ?? saysNothing), diffIds: all }
  }
  checkImageManifest(manifest)
  if (config === undefined) throw new Problem('IMAGE_UNSUPPORTED', 'this is no container image: it has no image config')
  checkLayerCount(manifest, config)
  return config
}

const saysNothing: ImageConfig = {
  ...platformOf(process.arch),
  env: [],
  entrypoint: [],
  cmd: [],
  workingDir: '',
  user: '',
  labels: {},
  exposedPorts: [],
  volumes: [],
  diffIds: [],
  history: [],
}
