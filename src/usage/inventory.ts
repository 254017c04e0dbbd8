import type { DataLayout, Digest } from '../base/index.ts'
import type { Shed, Size } from '../contract/index.ts'
import type { CatalogEntry } from '../images/index.ts'
import { findFiles } from './find-files.ts'

/** One file of the data directory, as it was when the inventory was taken. */
export interface DiskFile {
  readonly path: string
  readonly size: Size
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number
}

export interface ImageHolding {
  readonly entry: CatalogEntry
  /** Its blobs and lowers that are on disk. Images that share a blob both have it here. */
  readonly files: readonly DiskFile[]
  /** Its layer data blobs and layer indexes: derived, kept for the next image that has the layer. */
  readonly layers: readonly DiskFile[]
}

export interface ShedHolding {
  readonly shed: Shed
  readonly files: readonly DiskFile[]
}

export interface Orphan extends DiskFile {
  readonly why: string
  /** An image or a shed could refer to it: it is an orphan only if all of them could be read. */
  readonly mayBeReferredTo: boolean
}

/** Everything that is in a data directory, and whose it is. A value: reports and plans are worked out from it. */
export interface Inventory {
  readonly takenAt: Date
  readonly images: readonly ImageHolding[]
  readonly sheds: readonly ShedHolding[]
  readonly layers: readonly DiskFile[]
  readonly kernels: readonly DiskFile[]
  readonly templates: readonly DiskFile[]
  /** The daemon's own: index, log, locks. */
  readonly own: readonly DiskFile[]
  readonly orphans: readonly Orphan[]
  /** Files that are not cowshed's: counted nowhere, touched by nobody. */
  readonly foreign: readonly DiskFile[]
  /** What could not be read, and may refer to anything: while there is any, no blob or derived file is known to be an orphan. */
  readonly unreadable: readonly string[]
}

export interface InventorySources {
  readonly layout: DataLayout
  /** Every image of the store, damaged ones with their problem. */
  readonly images: readonly CatalogEntry[]
  readonly sheds: readonly Shed[]
}

/** Takes stock of a data directory: one walk over it, held against what the rooms say is theirs. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function takeInventory({ layout, images, sheds }: InventorySources): Promise<Inventory> {
  const files = await findFiles(layout.root)
  const taken = new Set<string>()
  const take = (paths: Iterable<string>): DiskFile[] => {
    const found: DiskFile[] = []
    for (const path of paths) {
      const file = files.get(path)
      if (file !== undefined) {
        taken.add(path)
        found.push(file)
      }
    }
    return found
  }
  const below = (directory: string, isOurs: (path: string) => boolean = () => true) =>
    take([...files.keys()].filter((path) => path.startsWith(`${directory}/`) && isOurs(path)))

  const imageHoldings = images.map((entry) => ({
    entry,
    files: take([
      ...entry.blobs.map(layout.blob),
      ...entry.manifests.map(({ digest }) => layout.lower('plain', digest)),
    ]),
    layers: take(layerPaths(layout, entry)),
  }))
  const shedHoldings = sheds.map((shed) => ({ shed, files: below(layout.shed(shed.name).dir, isNotTemporary) }))
  // A shed that is pinned to an image whose tag went still boots from its lower.
  const pinned = sheds.map((shed) => shed.image.manifest_digest as Digest).filter((digest) => digest !== '')
  take(pinned.map((digest) => layout.lower('plain', digest)))

  const kernels = below(layout.kernels, isNotTemporary)
  const templates = below(layout.templates, isNotTemporary)
  const own = take([
    layout.lock,
    layout.daemonLog,
    layout.config,
    layout.ociLayout,
    layout.imageIndex,
    ...indexFiles(layout),
  ])
  const left = [...files.values()].filter((file) => !taken.has(file.path))
  const orphans = left.flatMap((file) => {
    const why = whyOrphan(layout, file.path)
    return why === undefined ? [] : [{ ...file, ...why }]
  })
  const orphaned = new Set(orphans.map((file) => file.path))
  return {
    takenAt: new Date(),
    images: imageHoldings,
    sheds: shedHoldings,
    layers: unique(imageHoldings.flatMap((holding) => holding.layers)),
    kernels,
    templates,
    own,
    orphans,
    foreign: left.filter((file) => !orphaned.has(file.path)),
    unreadable: [
      ...images.flatMap(({ problem }) => problem ?? []),
      ...sheds.flatMap((shed) => (shed.status === 'broken' ? (shed.status_reason ?? shed.name) : [])),
    ],
  }
}

function layerPaths(layout: DataLayout, entry: CatalogEntry): string[] {
  const diffIds = new Set(entry.manifests.flatMap((manifest) => manifest.diffIds))
  return [...diffIds].flatMap((diffId) => [layout.layerData(diffId), layout.layerIndex(diffId)])
}

function indexFiles(layout: DataLayout): string[] {
  return ['', '-wal', '-shm'].map((suffix) => `${layout.indexDb}${suffix}`)
}

/** Why a file that nobody refers to is waste; undefined when it is not of cowshed's making. */
function whyOrphan(layout: DataLayout, path: string): Pick<Orphan, 'why' | 'mayBeReferredTo'> | undefined {
  const isBelow = (directory: string) => path.startsWith(`${directory}/`)
  const left = (why: string) => ({ why, mayBeReferredTo: false })
  const unreferred = (why: string) => ({ why, mayBeReferredTo: true })
  if (isBelow(layout.staging)) return left('left in staging')
  if (isBelow(layout.failures)) return left('console of a create that failed')
  if (isBelow(layout.blobs)) return unreferred('no image has this blob')
  if (isBelow(layout.layers)) return unreferred('no image has this layer')
  if (isBelow(layout.lowers('plain'))) return unreferred('no image and no shed has this manifest')
  if (isBelow(layout.cache)) return left('written by another version of cowshed')
  return isNotTemporary(path) ? undefined : left('left by a write that was cut off')
}

/** Atomic writes go through a name like this, beside their target. */
function isNotTemporary(path: string): boolean {
  return !path.endsWith('.tmp')
}

/** Each file once, in the order of first sight. */
export function unique(files: readonly DiskFile[]): DiskFile[] {
  return [...new Map(files.map((file) => [file.path, file])).values()]
}

export function sumSizes(files: readonly DiskFile[]): Size {
  return {
    logical_bytes: files.reduce((sum, file) => sum + file.size.logical_bytes, 0),
    physical_bytes: files.reduce((sum, file) => sum + file.size.physical_bytes, 0),
  }
}
