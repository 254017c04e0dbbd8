import { statSync } from 'node:fs'
import type { DataLayout } from '../../base/index.ts'
import type { PruneSkip, Shed } from '../../contract/index.ts'
import { isDown } from '../../sheds/index.ts'
import type { MeasuredFile } from '../accounting/measured-file.ts'
import type { Inventory } from '../inventory.ts'
import type { UsageOwners } from '../usage-owners.ts'
import type { DedupeFile, FileRole } from './dedupe-job.ts'

export interface ChooseFiles {
  readonly inventory: Inventory
  readonly owners: UsageOwners
  readonly layout: DataLayout
  /** Sheds whose disks may change; all of them, and what is made from images, when there are none. */
  readonly names: readonly string[]
  readonly running: boolean
}

export interface ChosenFiles {
  readonly files: readonly DedupeFile[]
  readonly skipped: readonly PruneSkip[]
}

/** Who may get whose blocks. What all sheds read from comes first and keeps its own; then sheds, by age; then what is only counted. */
export function chooseFiles(given: ChooseFiles): ChosenFiles {
  const { inventory, owners, layout, names } = given
  const roles = new Map<string, FileRole>()
  const common = names.length === 0 ? 'changed' : 'kept'
  for (const { path } of [...inventory.derived, ...keptLowers(inventory, layout), ...inventory.templates]) {
    roles.set(path, common)
  }
  const skipped: PruneSkip[] = []
  const byAge = [...inventory.sheds].sort((a, b) => (a.shed.created_at < b.shed.created_at ? -1 : 1))
  for (const { shed } of byAge) {
    const why = whySkipped(shed, given)
    if (why !== undefined) skipped.push({ kind: 'shed', name: shed.name, reason: why })
    else for (const path of disksOf(layout, shed)) roles.set(path, isWanted(shed, names) ? 'changed' : 'kept')
  }
  // A snapshot's content stays as it is, whatever blocks it has it in.
  for (const { snapshot } of inventory.snapshots) {
    const { upper, rootfs, memSnap } = layout.snapshot(snapshot.name)
    const volumes = snapshot.volumes.map(({ volume }) => layout.snapshotVolume(snapshot.name, volume))
    for (const path of [upper, rootfs, memSnap, ...volumes]) roles.set(path, common)
  }
  chooseVolumes(given, roles, skipped)
  return { files: inOrder(owners, roles, layout), skipped }
}

/** After the sheds, and as they are: one that a running guest has open is one of a running shed. */
function chooseVolumes(given: ChooseFiles, roles: Map<string, FileRole>, skipped: PruneSkip[]): void {
  const { inventory, layout, names, running } = given
  const atWork = new Set(inventory.sheds.filter(({ shed }) => !isDown(shed)).map(({ shed }) => shed.name))
  for (const { volume } of inventory.volumes) {
    const user = volume.attached_to.find(({ shed }) => atWork.has(shed))
    if (user === undefined || running)
      roles.set(layout.volume(volume.name).data, names.length === 0 ? 'changed' : 'kept')
    else if (names.length === 0) {
      const reason = `the running shed ${user.shed} has it: --running takes it all the same`
      skipped.push({ kind: 'volume', name: volume.name, reason })
    }
  }
}

function isWanted({ name }: Shed, names: readonly string[]): boolean {
  return names.length === 0 || names.includes(name)
}

function disksOf(layout: DataLayout, { name }: Shed): string[] {
  const { upper, rootfs } = layout.shed(name)
  return [upper, rootfs]
}

function keptLowers({ images }: Inventory, layout: DataLayout) {
  return images.flatMap(({ files }) => files.filter(({ path }) => path.startsWith(`${layout.keptLowers}/`)))
}

function whySkipped(shed: Shed, { running, names }: ChooseFiles): string | undefined {
  if (isDown(shed)) return undefined
  const { name, status } = shed
  if (status !== 'running') return `it is ${status}`
  if (running) return undefined
  if (names.length > 0 && !names.includes(name)) return undefined
  return 'it is running: what its guest writes next has to be copied first; --running takes it all the same'
}

/** Those with a role in the order in which they got it, then all others of the same filesystem: they may refer to the same blocks. */
function inOrder(
  { files, numbers }: UsageOwners,
  roles: ReadonlyMap<string, FileRole>,
  layout: DataLayout,
): DedupeFile[] {
  const { dev } = statSync(layout.root)
  const chosen = new Map<number, FileRole>()
  for (const [path, role] of roles) {
    const number = numbers.get(path)
    if (number !== undefined) chosen.set(number, role)
  }
  for (const number of files.keys()) if (!chosen.has(number)) chosen.set(number, 'counted')
  return [...chosen].flatMap(([number, role]) => {
    const file = files[number]
    return file === undefined || file.device !== dev || file.locked === true ? [] : dedupeFile(file, role)
  })
}

function dedupeFile(file: MeasuredFile, role: FileRole): DedupeFile {
  const { path, inode, logicalBytes, allocatedBytes, changedAt } = file
  return { path, inode, logicalBytes, allocatedBytes, changedAt, role }
}
