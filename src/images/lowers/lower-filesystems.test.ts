import { mkdir, readFile, stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { btrfsDataBytes, btrfsExtents, usedBytes } from '../../../test/support/filesystem-usage.ts'
import { onEachFilesystem } from '../../../test/support/filesystems.ts'
import { buildLayer, noise } from '../../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type Digest, dataLayout, digestOf, lowerProfiles, type Progress, shortDigest } from '../../base/index.ts'
import { allocation } from '../../host/index.ts'
import { ensureLower, findLower } from './ensure-lower.ts'
import { testFullDisks } from './full-disk.testkit.ts'
import { plainWhole } from './lower-kind.ts'
import { lowerUuid } from './lower-uuid.ts'
import { buildLowerHere, largeLayer, someManifest, storeLayers } from './lowers.testkit.ts'

const MiB = 2 ** 20
const secondManifest = digestOf('second')
const layers = [largeLayer(), buildLayer([{ path: 'small', content: noise(100_000) }, { path: '.wh.nothing' }])]

onEachFilesystem(['btrfs', 'xfs', 'ext4'], (fs) => {
  test(`a lower on ${fs.name} is the same, and shares what it can with the layers`, async () => {
    await using dir = await temporaryDirectory()
    const stored = await storeLayers(dir.path, layers)
    const reference = await buildLowerHere(dir.path, stored, lowerUuid(plainWhole, someManifest))
    const layout = dataLayout(fs.path('data'))
    await mkdir(layout.root)
    const before = await usedBytes(fs.directory)

    const lower = await ensureLower({ layout, manifest: someManifest, layers: stored })

    expect(digestOf(await readFile(lower.path))).toBe(digestOf(await readFile(reference.path)))
    const added = (await usedBytes(fs.directory)) - before
    const copies = fs.reflinks ? 1 : 2
    expect(added).toBeGreaterThan(copies * 24 * MiB)
    expect(added).toBeLessThan(copies * 24 * MiB + 8 * MiB)
    expect((await allocation(lower.path)).physicalBytes).toBeGreaterThan(24 * MiB)
    if (fs.name === 'btrfs') expect(Math.max(...(await btrfsExtents(fs.directory)))).toBeLessThanOrEqual(MiB)
  })
})

const sharedLayer = buildLayer([{ path: 'shared', content: noise(3 * MiB, 's') }], { compression: 'none' })
/** What compresses, what does not, and what is there twice: written, and taken back. */
const mixedLayer = buildLayer(
  [
    { path: 'text', content: Array.from({ length: 60_000 }, (_, i) => `line ${i % 1000} of a text\n`).join('') },
    { path: 'noise', content: noise(2 * MiB, 'n') },
    { path: 'again', content: noise(2 * MiB, 'n') },
    { path: 'more', content: noise(2 * MiB, 'm') },
  ],
  { compression: 'none' },
)

onEachFilesystem(['btrfs', 'xfs'], (fs) => {
  const name = `a second image on ${fs.name} adds its own layer and its bootstrap: %s`
  // Of xfs only data and metadata together are to be had.
  const dataBytes = fs.name === 'btrfs' ? btrfsDataBytes : usedBytes
  test.for(lowerProfiles)(name, async (profile) => {
    await using dir = await temporaryDirectory()
    const kind = { profile, form: 'whole' } as const
    const [shared, other] = await storeLayers(dir.path, [sharedLayer, mixedLayer])
    if (shared === undefined || other === undefined) throw new Error('two layers were stored')
    const layout = dataLayout(fs.path('data'))
    await mkdir(layout.root)
    const heard: string[] = []
    const onProgress = ({ phase, item, done }: Progress) => phase === 'unpack' && done === 0 && heard.push(item ?? '')
    await ensureLower({ layout, manifest: someManifest, layers: [shared], kind })
    const before = await dataBytes(fs.directory)

    const second = await ensureLower({ layout, manifest: secondManifest, layers: [shared, other], kind, onProgress })

    expect(heard).toEqual([shortDigest(other.diffId)])
    const dataOf = async (diffId: Digest) => (await stat(layout.layerData(diffId, profile))).size
    const newData = await dataOf(other.diffId)
    const bootstrap = second.bytes - newData - (await dataOf(shared.diffId))
    const added = (await dataBytes(fs.directory)) - before
    // Small files, the index and the map, btrfs keeps among its metadata.
    if (fs.name === 'btrfs') expect(added).toBe(newData + bootstrap)
    else expect(Math.abs(added - newData - bootstrap)).toBeLessThan(MiB / 4)
    if (fs.name === 'btrfs') expect(Math.max(...(await btrfsExtents(fs.directory)))).toBeLessThanOrEqual(MiB)
  })
})

testFullDisks({ what: 'the lower', layers, ensure: ensureLower, find: findLower })
