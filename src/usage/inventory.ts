import { basename, dirname } from 'node:path'
import { type DataLayout, type Digest, isDigest } from '../base/index.ts'
import type { Shed, Snapshot, Volume } from '../contract/index.ts'
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

export interface SnapshotHolding {
  readonly snapshot: Snapshot
  readonly files: readonly DiskFile[]
}

export interface VolumeHolding {
  readonly volume: Volume
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
export interface Holdings {
  readonly images: readonly ImageHolding[]
  readonly sheds: readonly ShedHolding[]
  readonly snapshots: readonly SnapshotHolding[]
  readonly volumes: readonly VolumeHolding[]
  /** What is made from the images, those that only sheds need included. */
  readonly derived: readonly CachedFile[]
  readonly kernels: readonly DiskFile[]
  readonly templates: readonly DiskFile[]
  /** What was fetched of lowers that are read before they are here, and what says of which. */
  readonly lazy: readonly DiskFile[]
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

export interface Inventory extends Holdings {
  readonly takenAt: Date
}

export interface InventorySources {
  readonly layout: DataLayout
  /** All of the data directory, by path. */
  readonly files: ReadonlyMap<string, DiskFile>
  /** Every image of the store, damaged ones with their problem. */
  readonly images: readonly CatalogEntry[]
  readonly sheds: readonly Shed[]
  readonly snapshots: readonly Snapshot[]
  readonly volumes: readonly Volume[]
  /** See filesInWork. */
  readonly inWork: readonly string[]
}

/** Takes stock of a data directory: its files, held against what the rooms say is theirs. */
export function takeStock({ layout, files, images, sheds, snapshots, volumes, inWork }: InventorySources): Holdings {
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
  const snapshotHoldings = snapshots.map((snapshot) => ({
    snapshot,
    files: below(layout.snapshot(snapshot.name).dir),
  }))
  const volumeHoldings = volumes.map((volume) => ({ volume, files: below(layout.volume(volume.name).dir) }))
  const expected = new Map(expectedFiles({ layout, images, sheds, snapshots }).map((file) => [file.path, file]))
  const derived = take(expected.keys()).flatMap((file) => {
    const made = expected.get(file.path)
    return made === undefined ? [] : [{ ...made, ...file }]
  })
  const kernels = below(layout.kernels)
  const templates = below(layout.templates)
  const lazy = below(layout.lazyLowers)
  const downloads = take(inWork.filter((path) => path.startsWith(`${layout.downloads}/`)))
  const remembered = [layout.blockHashes, layout.backupSources]
  const own = take([
    layout.lock,
    layout.daemonLog,
    layout.config,
    layout.pins,
    layout.ociLayout,
    layout.imageIndex,
    ...indexFiles(layout),
    ...(rooms.get(layout.tokens) ?? []),
    ...(rooms.get(layout.secrets) ?? []).filter(isWhole),
    ...(rooms.get(layout.backupKeys) ?? []).filter(isWhole),
    ...[...(rooms.get(layout.cache) ?? [])].filter((path) => remembered.some((room) => path.startsWith(`${room}/`))),
    // A load that runs for hours is still no orphan.
    ...inWork.filter((path) => path.startsWith(`${layout.staging}/`)),
  ])
  const left = [...files.values()].filter((file) => !taken.has(file.path))
  const orphans = left.flatMap((file) => {
    const why = whyOrphan(layout, file.path)
    return why === undefined ? [] : [{ ...file, ...why }]
  })
  const orphaned = new Set(orphans.map((file) => file.path))
  return {
    images: imageHoldings,
    sheds: shedHoldings,
    snapshots: snapshotHoldings,
    volumes: volumeHoldings,
    derived,
    kernels,
    templates,
    lazy,
    downloads,
    own,
    orphans,
    foreign: left.filter((file) => !orphaned.has(file.path)),
    unreadable: [
      ...images.flatMap(({ problem }) => problem ?? []),
      ...[...sheds, ...snapshots].flatMap(({ name, status, status_reason }) =>
        status === 'broken' ? (status_reason ?? name) : [],
      ),
    ],
  }
}

/**
 * Files of staging and blobs that come from a registry, as far as somebody works on them at the moment.
 *
 * @param isInFlight whether work in flight needs a blob
 */
export function filesInWork(
  layout: DataLayout,
  paths: Iterable<string>,
  isInFlight: (digest: Digest) => boolean,
): string[] {
  return [...paths].filter((path) => {
    if (path.startsWith(`${layout.staging}/`)) return isBeingMade(path)
    const digest = path.startsWith(`${layout.downloads}/`) ? partialOf(layout, path) : undefined
    return digest !== undefined && isInFlight(digest)
  })
}

/** Paths by the directory of the shed, snapshot or volume that they are in, or else by the directory right below the root: one pass, whatever number of sheds there is. */
function byRoom(layout: DataLayout, paths: Iterable<string>): Map<string, string[]> {
  const rooms = new Map<string, string[]>()
  const directories = new Set<string>([layout.sheds, layout.snapshots, layout.volumes])
  for (const path of paths) {
    const [first = '', second = ''] = path.slice(layout.root.length + 1).split('/')
    const top = `${layout.root}/${first}`
    const room = directories.has(top) ? `${top}/${second}` : top
    const known = rooms.get(room)
    if (known === undefined) rooms.set(room, [path])
    else known.push(path)
  }
  return rooms
}

/** Every derived file that images, sheds and snapshots may have. A shed that is pinned to an image whose tag went still boots from its lower. */
function expectedFiles({
  layout,
  images,
  sheds,
  snapshots,
}: Pick<InventorySources, 'layout' | 'images' | 'sheds' | 'snapshots'>): DerivedFile[] {
  const manifests = images.flatMap((entry) => entry.manifests)
  const pinned = [...sheds, ...snapshots].map(({ image }) => image.manifest_digest).filter(isDigest)
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
