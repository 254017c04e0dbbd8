import { basename, dirname } from 'node:path'
import { type DataLayout, type Digest, isDigest } from '../base/index.ts'
import type { Shed } from '../contract/index.ts'
import { isBeingMade } from '../host/index.ts'
import {
  type CatalogEntry,
  type DerivedFile,
  derivedFileAt,
  derivedFiles,
  keptFileAt,
  keptFiles,
  type UnneededFile,
} from '../images/index.ts'
import type { DiskFile } from './disk-file.ts'
import { findFiles } from './find-files.ts'

export interface ImageHolding {
  readonly entry: CatalogEntry
  /** Its blobs that are on disk. Images that share a blob both have it here. */
  readonly files: readonly DiskFile[]
}

/** A derived file that is on disk. It was last used when it was last modified: note-use.ts of images. */
export type CachedFile = DiskFile & DerivedFile

export interface ShedHolding {
  readonly shed: Shed
  readonly files: readonly DiskFile[]
}

export interface Orphan extends DiskFile {
  readonly why: string
  /** What it holds that an image or a shed could refer to: it is an orphan only if all of them could be read. */
  readonly holds?: Pick<UnneededFile, 'kind' | 'digest'>
  /** The blob that it is the beginning of, for what a download has left. */
  readonly partialOf?: Digest
}

/** Everything that is in a data directory, and whose it is. A value: reports and plans are worked out from it. */
export interface Inventory {
  readonly takenAt: Date
  readonly images: readonly ImageHolding[]
  readonly sheds: readonly ShedHolding[]
  /** What is made from the images, those that only sheds need included. */
  readonly derived: readonly CachedFile[]
  readonly kernels: readonly DiskFile[]
  readonly templates: readonly DiskFile[]
  /** Blobs that are being downloaded at the moment. */
  readonly downloads: readonly DiskFile[]
  /** The daemon's own: index, log, locks, and what it is making at the moment. */
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
  /** Whether work in flight needs a blob. */
  readonly isInFlight: (digest: Digest) => boolean
}

/** Takes stock of a data directory: one walk over it, held against what the rooms say is theirs. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function takeInventory({ layout, images, sheds, isInFlight }: InventorySources): Promise<Inventory> {
  const files = await findFiles(layout.root)
  const rooms = byRoom(layout, files.keys())
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
  const isWhole = (path: string) => !isTemporary(path)
  const below = (directory: string) => take([...(rooms.get(directory) ?? [])].filter(isWhole))
  const imageHoldings = images.map((entry) => ({
    entry,
    files: take([
      ...entry.blobs.map(layout.blob),
      ...entry.manifests.flatMap(({ digest }) => keptFiles(layout, digest)).map(({ path }) => path),
    ]),
  }))
  const shedHoldings = sheds.map((shed) => ({ shed, files: below(layout.shed(shed.name).dir) }))
  const expected = new Map(expectedFiles({ layout, images, sheds }).map((file) => [file.path, file]))
  const derived = take(expected.keys()).flatMap((file) => {
    const made = expected.get(file.path)
    return made === undefined ? [] : [{ ...made, ...file }]
  })
  const kernels = below(layout.kernels)
  const templates = below(layout.templates)
  const isBeingDownloaded = (path: string) => {
    const digest = partialOf(layout, path)
    return digest !== undefined && isInFlight(digest)
  }
  const downloads = take([...(rooms.get(layout.downloads) ?? [])].filter(isBeingDownloaded))
  const own = take([
    layout.lock,
    layout.daemonLog,
    layout.config,
    layout.ociLayout,
    layout.imageIndex,
    ...indexFiles(layout),
    // A load that runs for hours is still no orphan.
    ...(rooms.get(layout.staging) ?? []).filter(isBeingMade),
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
    derived,
    kernels,
    templates,
    downloads,
    own,
    orphans,
    foreign: left.filter((file) => !orphaned.has(file.path)),
    unreadable: [
      ...images.flatMap(({ problem }) => problem ?? []),
      ...sheds.flatMap((shed) => (shed.status === 'broken' ? (shed.status_reason ?? shed.name) : [])),
    ],
  }
}

/** Paths by the shed's directory they are in, or else by the directory right below the root: one pass, whatever number of sheds there is. */
function byRoom(layout: DataLayout, paths: Iterable<string>): Map<string, string[]> {
  const rooms = new Map<string, string[]>()
  for (const path of paths) {
    const [first = '', second = ''] = path.slice(layout.root.length + 1).split('/')
    const top = `${layout.root}/${first}`
    const room = top === layout.sheds ? `${top}/${second}` : top
    const known = rooms.get(room)
    if (known === undefined) rooms.set(room, [path])
    else known.push(path)
  }
  return rooms
}

/** Every derived file that images and sheds may have. A shed that is pinned to an image whose tag went still boots from its lower. */
function expectedFiles({ layout, images, sheds }: Omit<InventorySources, 'isInFlight'>): DerivedFile[] {
  const manifests = images.flatMap((entry) => entry.manifests)
  const pinned = sheds.map((shed) => shed.image.manifest_digest).filter(isDigest)
  const lowers = new Set([...manifests.map(({ digest }) => digest), ...pinned])
  const diffIds = new Set(manifests.flatMap((manifest) => manifest.diffIds))
  return [
    ...[...diffIds].flatMap((diffId) => derivedFiles(layout, 'layer', diffId)),
    ...[...lowers].flatMap((manifest) => derivedFiles(layout, 'lower', manifest)),
  ]
}

function indexFiles(layout: DataLayout): string[] {
  return ['', '-wal', '-shm'].map((suffix) => `${layout.indexDb}${suffix}`)
}

/** Why a file that nobody refers to is waste; undefined when it is not of cowshed's making. */
function whyOrphan(layout: DataLayout, path: string): Pick<Orphan, 'why' | 'holds' | 'partialOf'> | undefined {
  const isBelow = (directory: string) => path.startsWith(`${directory}/`)
  if (isBelow(layout.staging)) return { why: 'left in staging' }
  if (isBelow(layout.failures)) return { why: 'console of a create that failed' }
  const blob = partialOf(layout, path)
  if (blob !== undefined) return { why: 'left of a download', partialOf: blob }
  const holds = contentOf(layout, path)
  if (holds !== undefined) return { why: unneeded[holds.kind], holds }
  if (isBelow(layout.blobs)) return { why: 'no blob has such a name' }
  if (isBelow(layout.cache)) return { why: 'written by another version of cowshed' }
  return isTemporary(path) ? { why: 'left by a write that was cut off' } : undefined
}

const unneeded: Readonly<Record<UnneededFile['kind'], string>> = {
  blob: 'no image has this blob',
  layer: 'no image has this layer',
  lower: 'no image and no shed has this manifest',
}

/** What a file holds, by its name, if it is one that images and sheds refer to. */
function contentOf(layout: DataLayout, path: string): Orphan['holds'] {
  const digest = `${basename(dirname(path))}:${basename(path)}`
  if (isDigest(digest) && layout.blob(digest) === path) return { kind: 'blob', digest }
  const derived = derivedFileAt(layout, path) ?? keptFileAt(layout, path)
  return derived && { kind: derived.kind, digest: derived.digest }
}

/** The blob that a file of `downloads/` is the beginning of, by its name. */
function partialOf(layout: DataLayout, path: string): Digest | undefined {
  const digest = basename(path, '.partial').replace('-', ':')
  return isDigest(digest) && layout.partialBlob(digest) === path ? digest : undefined
}

/** Atomic writes go through a name like this, beside their target. */
function isTemporary(path: string): boolean {
  return path.endsWith('.tmp')
}
