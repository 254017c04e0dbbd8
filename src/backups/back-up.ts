import { type FileHandle, open } from 'node:fs/promises'
import { hostname } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import { inParallel, isProblem, type OnProgress, Problem, problemFromSystem } from '../base/index.ts'
import { chunkGrid, fileChunks, isZero } from './file-chunks.ts'
import { chunkBytes } from './format/chunk.ts'
import type { BackupFile, BackupManifest } from './format/manifest.ts'
import { idIn, newBackupId, objectNames } from './format/object-names.ts'
import { encodeRegionMap, type MappedChunk, regionChunks } from './format/region-map.ts'
import { sealObject } from './format/sealed-object.ts'
import type { Backup } from './repository/backups.ts'
import type { ChunkIndex } from './repository/chunk-index.ts'
import { loadChunkIndex } from './repository/load-chunk-index.ts'
import { lockRepository, type RepositoryLock } from './repository/lock-repository.ts'
import type { Repository } from './repository/open-repository.ts'
import { PackWriter } from './repository/pack-writer.ts'
import { type FileIdentity, fileIdentity } from './sources/file-identity.ts'
import type { KnownSources } from './sources/known-sources.ts'
import { reuseFile } from './sources/reuse-file.ts'
import { listAll } from './targets/list-all.ts'

export interface BackUp extends Pick<BackupManifest, 'kind' | 'name' | 'record'> {
  readonly repository: Repository
  readonly files: readonly FileToBackUp[]
  /** Asked when all of them were read: whether they were those of the record. What it throws leaves no backup. */
  readonly check?: (() => Promise<void>) | undefined
  /** What is known of the last backup of the same; without it every file is read. */
  readonly known?: KnownSources | undefined
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

export interface FileToBackUp {
  readonly name: string
  /** Where it can be read while nobody writes to it; made when it has to be read. */
  readonly path: string | (() => Promise<string>)
  /** The file that has this content, in whatever form, as long as it is not written to: one that is as it was for the last backup is not read. */
  readonly source?: string | undefined
}

interface Work {
  readonly options: BackUp
  readonly index: ChunkIndex
  readonly writer: PackWriter
  /** Ids of chunks that are on their way: of two that are the same one is sent. */
  readonly sent: Set<string>
  /** Packs that the backup needs and that were there before. */
  readonly reused: Set<string>
}

/** Chunks of a file that are hashed, compressed and encrypted at the same time. */
const chunksAtOnce = 4

/**
 * Makes a backup of sparse files. Holes cost nothing, chunks that the repository has already are not sent. The manifest comes last: whatever cuts it off
 * leaves no half backup, and what was sent by then is not sent again by the next one.
 *
 * @throws Problem BACKUP_REPOSITORY_BUSY; FILE_NOT_FOUND, IO_FAILED of the files; CANCELLED; what `check` and the target throw
 */
export async function backUp(options: BackUp): Promise<Backup> {
  const { repository, signal } = options
  await using lock = await lockRepository({ ...repository, times: repository.lockTimes, kind: 'shared', signal })
  // With the lock: what the index says is there stays there from now on.
  const { index } = await loadChunkIndex(repository, signal)
  await using writer = new PackWriter(repository, signal)
  const work: Work = { options, index, writer, sent: new Set(), reused: new Set() }
  const files: BackupFile[] = []
  const identities: Record<string, FileIdentity> = {}
  for (const file of options.files) {
    const { stored, identity } = await storeUnlessKnown(work, file)
    files.push(stored)
    if (identity !== undefined) identities[file.name] = identity
  }
  await options.check?.()
  await writer.finish()
  const { kind, name, record } = options
  const now = new Date()
  const manifest: BackupManifest = {
    version: 1,
    kind,
    name,
    created_at: now.toISOString(),
    host: hostname(),
    record,
    files,
    added_bytes: writer.bytes,
  }
  const backup = await publish(work, lock, { id: newBackupId(now), manifest })
  // A full disk here is no reason to have no backup there.
  await options.known?.keep({ backup: backup.id, files: identities }).catch(unlessProblem)
  return backup
}

function unlessProblem(error: unknown): undefined {
  if (!isProblem(error)) throw error
}

/** Its content may be in another file now: whoever reads it is told where, or that it is gone. */
function unlessGone(error: unknown): undefined {
  if (!isProblem(error, 'FILE_NOT_FOUND')) throw error
}

interface StoredFile {
  readonly stored: BackupFile
  /** What its source was like all the time; undefined when that cannot be told. */
  readonly identity: FileIdentity | undefined
}

async function storeUnlessKnown(work: Work, { name, path, source }: FileToBackUp): Promise<StoredFile> {
  const { repository, known, signal, onProgress } = work.options
  const look = async () =>
    known === undefined || source === undefined ? undefined : await fileIdentity(source).catch(unlessGone)
  const identity = await look()
  if (known !== undefined && identity !== undefined) {
    const reused = await reuseFile({ repository, index: work.index, known, name, identity, signal })
    if (reused !== undefined) {
      for (const pack of reused.packs) work.reused.add(pack)
      const { data_bytes: total } = reused.file
      onProgress?.({ phase: 'backup', item: name, done: total, total })
      return { stored: reused.file, identity }
    }
  }
  const stored = await storeFile(work, name, typeof path === 'string' ? path : await path())
  return { stored, identity: isDeepStrictEqual(identity, await look()) ? identity : undefined }
}

async function storeFile(work: Work, name: string, path: string): Promise<BackupFile> {
  try {
    await using file = await open(path, 'r')
    const before = await file.stat()
    const { regions, data_bytes } = await storeChunks(work, { file, name, bytes: before.size })
    const after = await file.stat()
    if (after.size !== before.size || after.mtimeMs !== before.mtimeMs) {
      throw new Problem('IO_FAILED', `${path} was written to while it was read`)
    }
    return { name, bytes: before.size, data_bytes, regions: await storeMaps(work, regions) }
  } catch (error) {
    throw problemFromSystem(error, `back up ${path}`)
  }
}

async function storeChunks(
  work: Work,
  { file, name, bytes }: { file: FileHandle; name: string; bytes: number },
): Promise<{ regions: Map<number, MappedChunk[]>; data_bytes: number }> {
  const { options } = work
  const regions = new Map<number, MappedChunk[]>()
  let total = 0
  for (const at of chunkGrid(file, bytes)) total += Math.min(chunkBytes, bytes - at * chunkBytes)
  let [done, dataBytes] = [0, 0]
  await inParallel(fileChunks(file, bytes), chunksAtOnce, async ({ at, content }) => {
    throwIfStopped(options.signal)
    if (!isZero(content)) {
      const region = Math.floor(at / regionChunks)
      const id = await storeChunk(work, 'data', content)
      regionOf(regions, region).push({ at: at % regionChunks, id })
      dataBytes += content.length
    }
    done += content.length
    options.onProgress?.({ phase: 'backup', item: name, done, total })
  })
  return { regions, data_bytes: dataBytes }
}

function regionOf(regions: Map<number, MappedChunk[]>, at: number): MappedChunk[] {
  const known = regions.get(at) ?? []
  regions.set(at, known)
  return known
}

async function storeMaps(work: Work, regions: ReadonlyMap<number, MappedChunk[]>): Promise<BackupFile['regions']> {
  const stored: BackupFile['regions'] = []
  for (const [at, chunks] of [...regions].sort(([a], [b]) => a - b)) {
    const map = encodeRegionMap(chunks.sort((a, b) => a.at - b.at))
    stored.push({ at, map: await storeChunk(work, 'map', map) })
  }
  return stored
}

async function storeChunk(
  { options, index, writer, sent, reused }: Work,
  kind: 'data' | 'map',
  content: Buffer,
): Promise<string> {
  const id = options.repository.keys.chunkId(kind, content)
  const place = index.find(id)
  if (place !== undefined) reused.add(place.table.pack)
  else if (!sent.has(id)) {
    sent.add(id)
    await writer.add({ id, kind, content })
  }
  return id
}

/**
 * Writes the manifest. A prune that took this host for dead may have removed what the backup needs. It takes the lock away first and looks for manifests then:
 * if the lock is still there when the manifest is, the prune sees the manifest, and otherwise the packs are looked at here.
 */
async function publish({ options, writer, reused }: Work, lock: RepositoryLock, backup: Backup): Promise<Backup> {
  const { repository, signal } = options
  const { target, keys } = repository
  const packs = new Set([...reused, ...writer.tables.map(({ pack }) => pack)])
  if (!(await lock.isHeld())) throw pruned(target.url)
  const name = objectNames.backup(backup.id)
  await target.put(name, sealObject(keys, name, Buffer.from(JSON.stringify(backup.manifest))), { signal })
  if (await lock.isHeld()) return backup
  for (const { name: pack } of await listAll(target, objectNames.packs)) packs.delete(idIn(pack))
  if (packs.size === 0) return backup
  await target.remove(name)
  throw pruned(target.url)
}

function pruned(url: string): Problem {
  return new Problem(
    'BACKUP_REPOSITORY_BUSY',
    `${url} was pruned while the backup was made, which took too long to answer`,
    {
      hint: 'run the backup again: what was sent and is still there is not sent again',
      data: { url },
    },
  )
}

function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new Problem('CANCELLED', 'the backup was stopped on request', { cause: signal.reason })
}
