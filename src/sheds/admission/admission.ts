import { formatSize, Problem } from '../../base/index.ts'
import type { ShedsContext } from '../context.ts'
import { loadAllSheds } from '../records/load-shed.ts'
import { observedRecord } from '../records/observed-record.ts'
import { isDown, type ShedRecord } from '../records/shed-record.ts'
import type { HostLimits } from './host-limits.ts'

/** A shed and the memory that it takes while its VM is there. */
export type Occupant = Pick<ShedRecord, 'name' | 'memory_bytes'>

/**
 * Who may start. What counts is what the records say of running sheds, and, for those whose record does not say yet that they are being
 * started, a place that is taken in memory: it is gone with the daemon, and so is their start.
 */
export class Admission {
  readonly #context: ShedsContext
  readonly #taken = new Map<string, Occupant>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(context: ShedsContext) {
    this.#context = context
  }

  /**
   * Takes a place for a shed, inside its transition: one by one, so that of two for whom there is room for one, one is refused. A shed that
   * has its place, because it runs, keeps it. To be held until the record says that it runs, or that it does not.
   *
   * @throws Problem HOST_FULL saying who has what
   */
  async admit(shed: Occupant): Promise<Disposable> {
    const mine = this.#turn.then(async () => {
      const others = (await this.occupants()).filter(({ name }) => name !== shed.name)
      refuseBeyond(this.#context.limits, others, shed)
      this.#taken.set(shed.name, shed)
    })
    this.#turn = mine.catch(() => undefined)
    await mine
    return { [Symbol.dispose]: () => void this.#taken.delete(shed.name) }
  }

  /** Those that have a VM or are to get one; the largest first. A shed whose record cannot be read is not among them: nobody knows what it has. */
  async occupants(): Promise<Occupant[]> {
    // Before the records are read: a place that is given up meanwhile may be in a record by now, and was not when that was read.
    const found = new Map(this.#taken)
    const loaded = await loadAllSheds(this.#context)
    for (const { record } of loaded) {
      if (record !== undefined && isAwake(await observedRecord(this.#context, record))) found.set(record.name, record)
    }
    return [...found.values()].sort((a, b) => b.memory_bytes - a.memory_bytes || (a.name < b.name ? -1 : 1))
  }
}

function isAwake(shed: ShedRecord): boolean {
  return !isDown(shed) && shed.status !== 'cold'
}

function refuseBeyond(
  { maxSheds = Number.POSITIVE_INFINITY, maxMemoryBytes }: HostLimits,
  others: readonly Occupant[],
  shed: Occupant,
): void {
  const used = others.reduce((sum, { memory_bytes }) => sum + memory_bytes, 0)
  if (used + shed.memory_bytes > maxMemoryBytes) {
    const room = `${formatSize(used)} of ${formatSize(maxMemoryBytes)} are taken`
    throw full(`${shed.name} needs ${formatSize(shed.memory_bytes)} of memory, and ${room}`, 'max_memory', others)
  }
  if (others.length >= maxSheds) {
    throw full(`${shed.name} would be one more than the ${maxSheds} sheds that may run at once`, 'max_sheds', others)
  }
}

/** So many are named; the rest is counted. */
const named = 5

function full(what: string, limit: string, others: readonly Occupant[]): Problem {
  const first = others.slice(0, named).map(({ name, memory_bytes }) => `${name} (${formatSize(memory_bytes)})`)
  const rest = others.length > named ? [`${others.length - named} more`] : []
  const by = others.length === 0 ? '' : `, by ${[...first, ...rest].join(', ')}`
  const [largest] = others
  const stop = largest === undefined ? '' : `stop one that is not needed: cowshed stop ${largest.name}; or `
  return new Problem('HOST_FULL', `${what}${by}`, {
    hint: `${stop}allow more: limits.${limit} in config.toml`,
    data: { sheds: others.map(({ name, memory_bytes }) => ({ name, memory_bytes })) },
  })
}
