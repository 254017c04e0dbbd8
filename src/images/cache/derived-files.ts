import { basename } from 'node:path'
import { type DataLayout, type Digest, isDigest, type LowerProfile, lowerProfiles } from '../../base/index.ts'

/** A file of the cache that an image, or a layer of images, is served from. It can be made again from blobs. */
export interface DerivedFile {
  /** What it is made from: one layer, by diff_id, or a whole manifest. */
  readonly kind: 'layer' | 'lower'
  readonly digest: Digest
  readonly path: string
  /** What it is, for people. */
  readonly form: string
  /** Files of one digest and one unit are evicted together. */
  readonly unit: string
}

interface Form extends Pick<DerivedFile, 'kind' | 'form' | 'unit'> {
  readonly path: (layout: DataLayout, digest: Digest) => string
}

/** What sheds made with --rootfs ext4 are cloned from: unlike the others, nobody has it open afterwards. */
export const rootfsUnit = 'rootfs'

/**
 * Every form in which the cache keeps what is made from images, in the order in which the files of one digest may be removed. This is the only list
 * of them: df, removal, orphans and eviction follow from it.
 */
const forms: readonly Form[] = [
  // The index makes a layer visible: without it the data alone is nothing that anybody would use.
  { kind: 'layer', unit: 'layer', form: 'layer index', path: (layout, diffId) => layout.layerIndex(diffId) },
  ...lowerProfiles.flatMap(formsOfProfile),
  {
    kind: 'lower',
    unit: rootfsUnit,
    form: 'root filesystem',
    path: (layout, manifest) => layout.rootfsImage(manifest),
  },
]

/**
 * A lower in parts is its bootstrap and the data of its layers. The data counts as the layers', whatever lower it belongs to: it stays as long as one of
 * their images has a shed that runs. All profiles of a layer are one unit, because they have the index in common.
 */
function formsOfProfile(profile: LowerProfile): Form[] {
  const name = profile === 'plain' ? '' : ` (${profile})`
  const layer = { kind: 'layer', unit: 'layer' } as const
  const data: Form[] = [
    { ...layer, form: `published layer${name}`, path: (layout, diffId) => layout.layerStored(diffId, profile) },
    { ...layer, form: `layer${name}`, path: (layout, diffId) => layout.layerData(diffId, profile) },
  ]
  if (profile !== 'plain')
    data.unshift({ ...layer, form: `layer map${name}`, path: (layout, diffId) => layout.layerMap(diffId, profile) })
  return [
    ...data,
    lowerForm(`lower${name}`, (layout, manifest) => layout.lower(profile, manifest)),
    lowerForm(`lower in parts${name}`, (layout, manifest) => layout.lowerBootstrap(profile, manifest)),
  ]
}

/** Who needs the space needs no lower of any form. */
function lowerForm(form: string, path: Form['path']): Form {
  return { kind: 'lower', unit: 'lower', form, path }
}

/** Every file that may be made from a layer or a manifest, whether it is there or not. */
export function derivedFiles(layout: DataLayout, kind: DerivedFile['kind'], digest: Digest): DerivedFile[] {
  return forms
    .filter((form) => form.kind === kind)
    .map(({ path, ...form }) => ({ ...form, digest, path: path(layout, digest) }))
}

/** What a path of the cache holds, by its name; undefined when nothing has such a name. */
export function derivedFileAt(layout: DataLayout, path: string): DerivedFile | undefined {
  const [hex] = basename(path).split('.')
  const digest = `sha256:${hex}`
  if (!isDigest(digest)) return undefined
  return (['layer', 'lower'] as const)
    .flatMap((kind) => derivedFiles(layout, kind, digest))
    .find((file) => file.path === path)
}
