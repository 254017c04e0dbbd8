import { type DataLayout, isProblem, type OnProgress, type Problem } from '../base/index.ts'
import type { PruneSkip, Shed, TrimItem, TrimReport, TrimRequest } from '../contract/index.ts'
import type { Sheds } from '../sheds/index.ts'
import type { Measurement } from './accounting/measured-file.ts'
import type { Accounting } from './accounting/open-accounting.ts'
import type { Inventory } from './inventory.ts'
import { type UsageOwners, usageOwners } from './usage-owners.ts'

export interface TrimSheds {
  readonly layout: DataLayout
  readonly serverName: string
  readonly sheds: Sheds
  readonly accounting: Accounting
  readonly takeInventory: () => Promise<Inventory>
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Has sheds and volumes give back what their filesystems have free, one after the other, and measures what came back. What cannot be trimmed is skipped with its reason.
 *
 * @throws Problem SHED_NOT_FOUND, CANCELLED
 */
export async function trimSheds(request: TrimRequest, work: TrimSheds): Promise<TrimReport> {
  const { sheds, accounting, layout, serverName } = work
  const wanted = await wantedDisks(request, sheds)
  const before = await measureSheds(work)
  const used = request.dry_run ? undefined : await accounting.usedBytes(layout.root)
  const { trimmed, skipped } = await trimEach(wanted, request, work)
  const after = request.dry_run ? undefined : await measureSheds(work)
  const reclaimed = used === undefined ? undefined : Math.max(0, used - (await accounting.usedBytes(layout.root)))
  const items = trimmed.map(
    (item): TrimItem => ({ ...item, before: before.of(item), ...(after && { after: after.of(item) }) }),
  )
  return {
    dry_run: request.dry_run,
    server_name: serverName,
    accuracy: before.accuracy,
    items,
    skipped,
    totals: {
      punched_bytes: items.reduce((sum, { punched_bytes = 0 }) => sum + punched_bytes, 0),
      ...(reclaimed === undefined ? {} : { reclaimed_bytes: reclaimed }),
    },
  }
}

/** Something with a filesystem to trim. */
interface Wanted extends Pick<TrimItem, 'kind' | 'name'> {
  readonly bytes: number
}

async function wantedDisks({ names }: TrimRequest, sheds: Sheds): Promise<Wanted[]> {
  const [all, volumes] = await Promise.all([wantedSheds(names, sheds), sheds.volumes.list()])
  const written = new Set(
    all.flatMap((shed) => shed.volumes.filter(({ read_only }) => !read_only).map(({ volume }) => volume)),
  )
  return [
    ...all.map(({ name, upper_bytes: bytes }) => ({ kind: 'shed' as const, name, bytes })),
    ...volumes
      .filter(({ name }) => names.length === 0 || written.has(name))
      .map(({ name, bytes }) => ({ kind: 'volume' as const, name, bytes })),
  ]
}

async function wantedSheds(names: readonly string[], sheds: Sheds): Promise<Shed[]> {
  if (names.length === 0) return await sheds.list()
  return await Promise.all([...new Set(names)].map((name) => sheds.get(name)))
}

type Trimmed = Pick<TrimItem, 'kind' | 'name' | 'by' | 'free_bytes' | 'punched_bytes'>

async function trimEach(wanted: readonly Wanted[], { dry_run }: TrimRequest, { sheds, onProgress, signal }: TrimSheds) {
  const [trimmed, skipped]: [Trimmed[], PruneSkip[]] = [[], []]
  const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0)
  let done = 0
  for (const { kind, name, bytes } of wanted) {
    signal?.throwIfAborted()
    try {
      const trimming =
        kind === 'shed' ? sheds.trim(name, { dryRun: dry_run }) : sheds.volumes.trim(name, { dryRun: dry_run })
      const { by, freeBytes, punchedBytes } = await trimming
      const punched = punchedBytes === undefined ? {} : { punched_bytes: punchedBytes }
      trimmed.push({ kind, name, by, free_bytes: freeBytes, ...punched })
    } catch (error) {
      if (!isProblem(error)) throw error
      skipped.push({ kind, name, reason: reasonOf(error) })
    }
    done += bytes
    onProgress?.({ phase: 'trim', done, total })
  }
  return { trimmed, skipped }
}

function reasonOf({ message, hint }: Problem): string {
  return hint === undefined ? message : `${message}; ${hint}`
}

interface MeasuredSheds {
  readonly accuracy: Measurement['accuracy']
  of(item: Trimmed): TrimItem['before']
}

async function measureSheds({ accounting, layout, takeInventory }: TrimSheds): Promise<MeasuredSheds> {
  const owners = usageOwners(await takeInventory(), layout)
  const { files, byThing } = owners
  // Of a running shed nothing that was read before is true.
  const measured = await accounting.measure({ files, fresh: true, ownerships: [byThing] })
  return { accuracy: measured.accuracy, of: (item) => onDisk(item, owners, measured) }
}

function onDisk(item: Trimmed, { things }: UsageOwners, { ownerships }: Measurement): TrimItem['before'] {
  const number = things.findIndex(({ kind, name }) => kind === item.kind && name === item.name)
  const physical = things[number]?.files.reduce((sum, { size }) => sum + size.physical_bytes, 0) ?? 0
  return { physical_bytes: physical, exclusive_bytes: ownerships[0]?.exclusive[number]?.atLeast ?? 0 }
}
