import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type CompressedProfile, dataLayout, ext4WriterVersion, writerVersion } from './data-layout.ts'
import { parseDigest } from './digest.ts'

const hex = 'c0'.repeat(32)
const digest = parseDigest(`sha256:${hex}`)
const anyProfile = '<profile>' as CompressedProfile

test('docs/disk-layout.md describes every path of a data directory, and no other', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/disk-layout.md'), 'utf8')
  const documented = [...text.matchAll(/^\| `([^`]+)` \| (?:truth|derived|run-time) \|/gm)].map((match) => match[1])
  expect(documented.sort()).toEqual(allPaths().sort())
})

/** Every path that the layout knows, with placeholders for what differs from object to object. */
function allPaths(): string[] {
  const layout = dataLayout('/data')
  const given = {
    ...layout,
    blob: layout.blob(digest),
    partialBlob: layout.partialBlob(digest),
    layerData: layout.layerData(digest),
    layerIndex: layout.layerIndex(digest),
    compressedData: layout.layerData(digest, anyProfile),
    layerMap: layout.layerMap(digest, anyProfile),
    lowers: layout.lowers(anyProfile),
    lower: layout.lower(anyProfile, digest),
    lowerBootstrap: layout.lowerBootstrap(anyProfile, digest),
    layerStored: layout.layerStored(digest),
    compressedStored: layout.layerStored(digest, anyProfile),
    rootfsImage: layout.rootfsImage(digest),
    blockHashesOf: layout.blockHashesOf(4711),
    backupSource: layout.backupSource('<id>'),
    keptLower: layout.keptLower(digest),
    keptLowerRecord: layout.keptLowerRecord(digest),
    keptLowerDigest: layout.keptLowerDigest(digest),
    keptLowerChunks: layout.keptLowerChunks(digest),
    lazyLower: layout.lazyLower(digest),
    bootTrace: layout.bootTrace(digest, '<name>'),
    token: layout.token('<id>'),
    secret: layout.secret('<name>'),
    backupKey: layout.backupKey('<id>'),
    kernel: layout.kernel('<id>'),
    upperTemplate: layout.upperTemplate(5120),
    shed: layout.shed('<name>'),
    snapshot: layout.snapshot('<name>'),
    snapshotVolume: layout.snapshotVolume('<name>', '<volume>'),
    volume: layout.volume('<name>'),
    failureConsole: layout.failureConsole('<name>', '<id>'),
  }
  const paths = Object.values(given).flatMap((value) => (typeof value === 'string' ? [value] : Object.values(value)))
  return paths
    .filter((path) => path !== layout.root)
    .map((path) =>
      path
        .slice('/data/'.length)
        .replace(`sha256/${hex}`, '<algorithm>/<hex>')
        .replace(`sha256-${hex}`, '<algorithm>-<hex>')
        .replace(hex, '<hex>')
        .replace(`erofs-v${writerVersion}`, 'erofs-v<N>')
        .replace(`ext4-v${ext4WriterVersion}`, 'ext4-v<N>')
        .replace('upper-5120', 'upper-<bytes>')
        .replace('4711.hashes', '<inode>.hashes'),
    )
}
