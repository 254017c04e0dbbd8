import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dataLayout, digestOf } from '../base/index.ts'
import type { Shed } from '../contract/index.ts'
import type { DiskFile } from './disk-file.ts'
import type { InventorySources } from './inventory.ts'
import { keepStock } from './keep-stock.ts'

const layout = dataLayout('/data')
const manifest = digestOf('manifest')
const names = ['web', 'db']
const paths = [
  ...names.flatMap((name) => [layout.shed(name).upper, layout.shed(name).record, layout.shed(name).console]),
  layout.blob(manifest),
  layout.blob(digestOf('nobody has this blob')),
  layout.indexDb,
  layout.daemonLog,
  join(layout.templates, 'upper-1.ext4'),
  join(layout.staging, 'load-1', 'blob'),
  join(layout.root, 'notes.txt'),
]

/** What can be seen of a file; two names of one inode show the same. */
const look = fc.record({ inode: fc.nat(9), isThere: fc.boolean(), isSecondName: fc.boolean() })
const figures = fc.array(fc.nat(3), { minLength: 10, maxLength: 10 })
const moment = fc.record({
  looks: fc.array(look, { minLength: paths.length, maxLength: paths.length }),
  figures,
  sheds: fc.subarray(names),
  inWork: fc.boolean(),
})

test('stock that is renewed is what one takes who has seen nothing before, whatever has happened', () => {
  fc.assert(
    fc.property(
      moment,
      fc.array(fc.oneof({ weight: 4, arbitrary: figures }, { weight: 1, arbitrary: moment }), { maxLength: 5 }),
      (first, later) => {
        const kept = keepStock(layout)
        kept(sourcesAt(first), [])
        let now = first
        for (const next of later) {
          now = Array.isArray(next) ? { ...now, figures: next } : next
          expect(kept(sourcesAt(now), [])).toEqual(keepStock(layout)(sourcesAt(now), []))
        }
      },
    ),
  )
})

test('a write to one file leaves the rest the same value', () => {
  const kept = keepStock(layout)
  const all = {
    looks: paths.map((_, inode) => ({ inode, isThere: true, isSecondName: false })),
    figures: paths.map(() => 0),
    sheds: names,
    inWork: false,
  }
  const sources = sourcesAt(all)
  const first = kept(sources, [])
  expect(kept({ ...sources, files: new Map(sources.files), sheds: [...sources.sheds] }, []).request.ownerships).toBe(
    first.request.ownerships,
  )
  const files = new Map(sources.files)
  const path = layout.shed('web').upper
  files.set(path, { ...fileAt(path, { inode: 0, isSecondName: false }, [1]) })
  const after = kept({ ...sources, files }, [])
  expect(after.request.ownerships).toBe(first.request.ownerships)
  const changed = after.request.files.filter((file, at) => file !== first.request.files[at])
  expect(changed.map((file) => [file.path, file.logicalBytes])).toEqual([[path, 1]])
  expect(after.holdings.sheds.map((shed, at) => shed === first.holdings.sheds[at])).toEqual([false, true])
})

function sourcesAt({
  looks,
  figures,
  sheds,
  inWork,
}: {
  looks: readonly { inode: number; isThere: boolean; isSecondName: boolean }[]
  figures: readonly number[]
  sheds: readonly string[]
  inWork: boolean
}): InventorySources {
  const files = new Map<string, DiskFile>()
  for (const [at, path] of paths.entries()) {
    const seen = looks[at]
    if (seen?.isThere) files.set(path, fileAt(path, seen, figures))
  }
  return {
    layout,
    files,
    images: [{ digest: manifest, tags: ['mini:1'], isPinned: false, blobs: [manifest], manifests: [] }],
    sheds: sheds.map(shedCalled),
    snapshots: [],
    volumes: [],
    inWork: inWork ? [join(layout.staging, 'load-1', 'blob')] : [],
  }
}

const remembered = new Map<string, DiskFile>()

/** The same value for the same look, as from who finds files. */
function fileAt(
  path: string,
  { inode, isSecondName }: { inode: number; isSecondName: boolean },
  figures: readonly number[],
): DiskFile {
  const bytes = figures[inode] ?? 0
  const key = `${path} ${inode} ${isSecondName} ${bytes}`
  const file = remembered.get(key) ?? {
    path,
    size: { logical_bytes: bytes, physical_bytes: bytes * 512 },
    modifiedAt: bytes,
    changedAt: bytes,
    inode: `1:${inode}`,
    links: isSecondName ? 2 : 1,
  }
  remembered.set(key, file)
  return file
}

const sheds = new Map<string, Shed>()

function shedCalled(name: string): Shed {
  const shed = sheds.get(name) ?? newShed(name)
  sheds.set(name, shed)
  return shed
}

function newShed(name: string): Shed {
  return {
    name,
    id: name,
    status: 'stopped',
    image: { ref: 'mini:1', manifest_digest: manifest },
    cpus: 1,
    memory_bytes: 2 ** 29,
    upper_bytes: 5 * 2 ** 30,
    rootfs: 'erofs',
    network: 'user',
    env: {},
    labels: {},
    volumes: [],
    secrets: [],
    created_at: '2026-01-01T00:00:00Z',
    changed_at: '2026-01-01T00:00:00Z',
    backend: 'qemu',
    forwards: [],
    thermal: { warm_after_ms: 'never', cold_after_ms: 'never', keep_hot: false },
  }
}
