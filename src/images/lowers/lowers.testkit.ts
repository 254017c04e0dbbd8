import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuiltLayer, buildLayer, noise } from '../../../test/support/image-builder.ts'
import { expandSparse, type TarMember } from '../../../test/support/tar-builder.ts'
import { type Digest, type LowerProfile, parseDigest } from '../../base/index.ts'
import type { LayerEntry } from '../../formats/index.ts'
import { assembleFile } from '../../host/index.ts'
import type { LayerBlob } from './unpack-layer.ts'
import { writeBootstrap } from './write-bootstrap.ts'
import { writeLayerFiles } from './write-layer-files.ts'

export const someManifest = parseDigest(`sha256:${'5e'.repeat(32)}`)

/** A layer that takes a moment, and a thread of its own. */
export function largeLayer(): BuiltLayer {
  const content = Buffer.concat(Array<Buffer>(24).fill(noise(1 << 20)))
  return buildLayer([{ path: 'large', content }], { compression: 'none' })
}

/** Puts layers where a store would have them. */
export async function storeLayers(directory: string, layers: readonly BuiltLayer[]): Promise<LayerBlob[]> {
  return await Promise.all(
    layers.map(async ({ blob, digest, diffId }) => {
      const path = join(directory, digest.replace(':', '-'))
      await writeFile(path, blob)
      return { diffId: diffId as Digest, path }
    }),
  )
}

/** What ensureLower does, without threads, cache and data directory: the same functions, one after the other. */
export async function buildLowerHere(
  directory: string,
  layers: readonly LayerBlob[],
  uuid: Buffer = Buffer.alloc(16, 7),
  profile: LowerProfile = 'plain',
) {
  const cached = []
  for (const [number, { diffId, path }] of layers.entries()) {
    const named = (what: string) => join(directory, `${number}.${profile}.${what}`)
    const files = { dataPath: named('data'), indexPath: named('index'), mapPath: named('map') }
    await writeLayerFiles({ blobPath: path, diffId, profile, ...files })
    cached.push({ diffId, ...files, mapPath: profile === 'plain' ? undefined : files.mapPath })
  }
  const head = join(directory, `${profile}.bootstrap`)
  const bootstrap = writeBootstrap({ layers: cached, uuid, profile, form: 'whole', to: head })
  const path = join(directory, `${profile}.erofs`)
  const parts = [{ path: head, bytes: bootstrap.bytes }, ...bootstrap.blobs]
  await assembleFile(
    path,
    parts.map((part) => ({ path: part.path, offset: 0, length: part.bytes })),
  )
  return { ...bootstrap, path }
}

/** A member as the naive model wants it: with all its content. Every attribute must be given. */
export function entryOf(member: TarMember): LayerEntry {
  const bytes = (value: string | Buffer | undefined) => Buffer.from((value ?? '') as string)
  const { type = 'file', mode = 0, uid = 0, gid = 0, mtime = 0 } = member
  const time = typeof mtime === 'number' ? { seconds: mtime, nanoseconds: 0 } : mtime
  const attributes = {
    path: bytes(member.path),
    mode,
    uid,
    gid,
    mtimeSeconds: time.seconds,
    mtimeNanoseconds: time.nanoseconds,
    xattrs: Object.entries(member.xattrs ?? {}).map(([name, value]) => ({ name, value: bytes(value) })),
  }
  switch (type) {
    case 'file': {
      const content = member.sparse === undefined ? bytes(member.content) : expandSparse(member.sparse)
      return { ...attributes, type, size: content.length, content: { kind: 'inline', bytes: content } }
    }
    case 'hardlink':
    case 'symlink':
      return { ...attributes, type, linkTarget: bytes(member.linkTarget) }
    case 'char':
    case 'block':
      return { ...attributes, type, major: member.major ?? 0, minor: member.minor ?? 0 }
    case 'directory':
    case 'fifo':
      return { ...attributes, type }
  }
}
