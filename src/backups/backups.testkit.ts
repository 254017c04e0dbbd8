import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { S3Server } from '../../test/support/s3-server.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { dataLayout } from '../base/index.ts'
import { chunkBytes } from './format/chunk.ts'
import { type KeyRing, openKeyRing } from './keys/key-ring.ts'
import { openRepository, type Repository } from './repository/open-repository.ts'
import { restoreBackup } from './restore-backup.ts'
import { openTarget, type TargetSettings } from './targets/open-target.ts'
import type { BackupTarget } from './targets/target.ts'

/** Nobody here holds a lock for long, and whoever waits waits for something to go wrong. */
export const quickLocks = { refreshMs: 60_000, staleMs: 15 * 60_000, waitMs: 0 }

/** Pauses of milliseconds; silence is borne as long as a busy machine may be silent. */
export const quickPatience = {
  connectMs: 10_000,
  idleMs: 20_000,
  tries: 4,
  firstPauseMs: 5,
  longestPauseMs: 20,
  totalMs: 30_000,
}

/** A host: a place for files and a data directory with its keys. */
export interface Host extends AsyncDisposable {
  readonly keyRing: KeyRing
  /** A repository in a directory of its own, or elsewhere. */
  repository(target?: BackupTarget): Promise<Repository>
  path(name: string): string
}

export async function makeHost(): Promise<Host> {
  const directory = await temporaryDirectory()
  const path = (name: string) => join(directory.path, name)
  const keyRing = openKeyRing(dataLayout(path('data')))
  return {
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
    keyRing,
    path,
    repository: async (target = localTarget(path('repository'))) =>
      await openRepository({ target, keyRing, create: true, lockTimes: quickLocks }),
  }
}

export function localTarget(path: string): BackupTarget {
  return openTarget(path, { s3: {}, env: {}, home: '/nowhere' })
}

/** A prefix of a server's bucket; the server itself, or what stands before it. */
export function s3Target(
  server: S3Server,
  prefix: string,
  settings: { endpoint?: string } & Partial<TargetSettings> = {},
) {
  const { accessKeyId, secretAccessKey } = server.credentials
  const bucket = {
    endpoint: settings.endpoint ?? server.url,
    access_key_id: accessKeyId,
    secret_access_key: secretAccessKey,
  }
  return openTarget(`s3://${server.bucket}/${prefix}`, {
    s3: { '*': bucket },
    env: {},
    home: '/nowhere',
    patience: settings.patience ?? quickPatience,
  })
}

/** A sparse file by its chunks: each a byte that fills it, or nothing. @param tail bytes beyond the last whole chunk */
export async function writeChunks(path: string, chunks: readonly (number | undefined)[], tail = 0): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(chunks.length * chunkBytes + tail)
  for (const [at, fill] of chunks.entries()) {
    if (fill !== undefined) await writeChunk(file, at, fill)
  }
}

export async function writeChunk(file: FileHandle, at: number, fill: number): Promise<void> {
  await file.write(chunkOf(fill), 0, chunkBytes, at * chunkBytes)
}

/** Compresses badly enough to be seen in sizes, and is the same for the same number. */
function chunkOf(fill: number): Buffer {
  const bytes = Buffer.alloc(chunkBytes)
  let state = fill + 1
  for (let at = 0; at < chunkBytes; at += 64) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes.writeUInt32LE(state, at)
  }
  return bytes
}

/** A target that does something of its own before some calls. */
export function hooked(
  target: BackupTarget,
  before: (call: 'get' | 'put' | 'remove', name: string) => Promise<void> | void,
): BackupTarget {
  return {
    url: target.url,
    async get(name, options) {
      await before('get', name)
      return await target.get(name, options)
    },
    async put(name, bytes, options) {
      await before('put', name)
      await target.put(name, bytes, options)
    },
    async putNew(name, bytes, options) {
      await before('put', name)
      return await target.putNew(name, bytes, options)
    },
    list: (prefix, options) => target.list(prefix, options),
    async remove(name, options) {
      await before('remove', name)
      await target.remove(name, options)
    },
    tidy: () => target.tidy(),
    close: () => target.close(),
  }
}

/** Restores into a fresh directory. @returns its path */
export async function restoreTo(host: Host, repository: Repository, backup: string, name: string): Promise<string> {
  const directory = host.path(name)
  await mkdir(directory, { recursive: true })
  await restoreBackup({ repository, backup, directory })
  return directory
}
