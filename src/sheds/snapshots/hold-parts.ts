import { isProblem, Problem } from '../../base/index.ts'
import { fileStatus, openStaging, type Staging } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { writeRam } from '../memory/inflate-memory.ts'
import { loadMemory } from '../memory/stored-memory.ts'
import { checkNotReplaced, loadSnapshot, snapshotParts } from './load-snapshot.ts'
import type { SnapshotRecord } from './snapshot-record.ts'

export interface HeldPart {
  /** Its path in the directory of a snapshot. */
  readonly name: string
  readonly bytes: number
  /** The file that has it, in full or compressed. As long as nobody writes to that, its content is what it was. */
  readonly source: string
  /**
   * Where its content can be read, until all of them are disposed of.
   *
   * @throws Problem MEMORY_DAMAGED, NO_SPACE, SNAPSHOT_BUSY
   */
  readonly path: () => Promise<string>
}

export interface HeldParts extends AsyncDisposable {
  readonly record: SnapshotRecord
  readonly parts: readonly HeldPart[]
  /** Whether all that was opened by these paths until now is of that record. @throws Problem SNAPSHOT_NOT_FOUND */
  readonly check: () => Promise<void>
}

type Context = Pick<ShedsContext, 'layout' | 'snapshotTurns' | 'snapshotUses'>

/**
 * All files of a snapshot as they were when it was taken, for who reads them. They stay until this is disposed of, unless the snapshot is removed. Of RAM that is
 * compressed a copy is made when it is to be read, so that it stays so: nobody goes on from it.
 *
 * @throws Problem SNAPSHOT_NOT_FOUND, RECORD_INVALID, SNAPSHOT_BUSY
 */
export async function holdParts(context: Context, name: string): Promise<HeldParts> {
  const { layout, snapshotTurns, snapshotUses } = context
  const { record } = await loadSnapshot(context, name)
  const { memSnap, memSnapZst } = layout.snapshot(name)
  // Whoever compresses it asks in such a turn, too, whether somebody uses it.
  const use = await snapshotTurns.run(name, async () => snapshotUses.begin(name))
  try {
    const isCompressed = record.memory !== undefined && (await fileStatus(memSnap)) === undefined
    let copy: Staging | undefined
    const readableRam = async () =>
      await snapshotTurns.run(name, async () => {
        // Somebody may have gone on from it meanwhile.
        if ((await fileStatus(memSnap)) !== undefined) return memSnap
        copy ??= await inflateCopy(context, name)
        return ramIn(copy)
      })
    const parts = snapshotParts(layout, record).map(({ name: part, path, bytes }) =>
      isCompressed && path === memSnap
        ? { name: part, bytes, source: memSnapZst, path: readableRam }
        : { name: part, bytes, source: path, path: async () => path },
    )
    return {
      record,
      parts,
      check: () => checkNotReplaced(context, record),
      async [Symbol.asyncDispose]() {
        use[Symbol.dispose]()
        await copy?.[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    use[Symbol.dispose]()
    throw error
  }
}

async function inflateCopy({ layout }: Pick<ShedsContext, 'layout'>, name: string): Promise<Staging> {
  const staging = await openStaging(layout, `read-${name}`)
  try {
    await writeRam(await loadMemory(layout.snapshot(name)), ramIn(staging))
    return staging
  } catch (error) {
    await staging[Symbol.asyncDispose]()
    throw isProblem(error, 'MEMORY_DAMAGED') ? withDisk(error, name) : error
  }
}

function ramIn({ path }: Staging): string {
  return `${path}/inflated`
}

function withDisk(error: Problem, name: string): Problem {
  return new Problem(error.code, `the memory of the snapshot ${name} cannot be read: ${error.message}`, {
    hint: `its disk alone can be booted, and that kept: cowshed create NAME --from-snapshot ${name} --cold-boot`,
    cause: error,
  })
}
