import { lstatSync, type Stats, statSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { type DataLayout, errnoCode, isName, isProblem, Problem, problemFromSystem } from '../../base/index.ts'
import { isAsSeen, isSettled, namesIn, type SeenFile, type SeenFiles } from '../../host/index.ts'
import { readRecord } from '../../state/index.ts'
import { ShedRecord, shedNotFound } from './shed-record.ts'

interface WithLayout {
  readonly layout: DataLayout
}

/** @throws Problem SHED_NOT_FOUND, SHED_BROKEN */
export async function loadShed({ layout }: WithLayout, name: string): Promise<ShedRecord> {
  const record = await readShed(layout, name).catch((error: unknown) => {
    throw isProblem(error, 'RECORD_INVALID') ? shedBroken(error) : error
  })
  if (record === undefined) throw shedNotFound(name)
  return record
}

/** One directory below sheds/: its record, or why that cannot be used. */
export type LoadedShed =
  | { readonly name: string; readonly record: ShedRecord; readonly problem?: undefined }
  | { readonly name: string; readonly record?: undefined; readonly problem: Problem }

/** Records as they were read, by the name of the shed, with what their files were then. */
export type KnownRecords = Map<string, { readonly path: string; readonly seen: SeenFile; readonly record: ShedRecord }>

interface LoadAll extends WithLayout {
  /** A record that is there, and whose file is as it was, is not read again; what is read now is added. */
  readonly known?: KnownRecords
  readonly seen?: SeenFiles | undefined
}

/** Reads every record, sorted by name. A shed that is removed meanwhile is not there; what has a name that no shed can have is none. */
export async function loadAllSheds({ layout, known = new Map(), seen }: LoadAll): Promise<LoadedShed[]> {
  const names = (await namesIn(layout.sheds)).filter(isName).sort()
  const loaded = await Promise.all(names.map((name) => recallRecord(name, known, seen) ?? loadOne(layout, name, known)))
  const there = new Set(names)
  for (const name of known.keys()) if (!there.has(name)) known.delete(name)
  return loaded.flatMap((shed) => shed ?? [])
}

/** One of them, as loadAllSheds would have it. @returns undefined when it is not there */
export async function recallShed(
  { layout, known }: WithLayout & { readonly known: KnownRecords },
  name: string,
): Promise<LoadedShed | undefined> {
  return recallRecord(name, known, undefined) ?? (await loadOne(layout, name, known))
}

function recallRecord(name: string, known: KnownRecords, look: SeenFiles = () => undefined): LoadedShed | undefined {
  const recalled = known.get(name)
  if (recalled === undefined) return undefined
  const seen = look(recalled.path) ?? seeRecord(recalled.path)
  return seen !== undefined && isAsSeen(seen, recalled.seen) ? { name, record: recalled.record } : undefined
}

/** undefined when it cannot be seen: whoever reads it finds out why. */
function seeRecord(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

async function loadOne(layout: DataLayout, name: string, known: KnownRecords): Promise<LoadedShed | undefined> {
  const { dir, record: path } = layout.shed(name)
  if (!mayBeShed(dir)) return undefined
  const seen = seeRecord(path)
  // Before it is read: what changes it from now on shows.
  const isKept = seen !== undefined && isSettled(seen.ctimeMs)
  known.delete(name)
  try {
    const record = await readShed(layout, name)
    if (record === undefined) return undefined
    if (isKept) known.set(name, { path, seen, record })
    return { name, record }
  } catch (error) {
    if (isProblem(error)) return { name, problem: error }
    throw error
  }
}

/**
 * Reads the record of a shed.
 *
 * @returns undefined when there is no such shed
 * @throws Problem RECORD_INVALID for a directory whose record is missing, damaged, or another shed's: all that is known of it is its name
 */
export async function readShed(layout: DataLayout, name: string): Promise<ShedRecord | undefined> {
  const { dir, record: path } = layout.shed(name)
  const read = async () => {
    try {
      return await readRecord(path, ShedRecord)
    } catch (error) {
      throw isProblem(error) ? unusable(name, error.message, error) : error
    }
  }
  // The second look is for a shed that was removed and made anew between the two.
  const record = (await read()) ?? ((await isThere(dir)) ? await read() : undefined)
  // A copy of a shed's directory would act on the shed that it was copied from.
  if (record !== undefined && record.name !== name) throw unusable(name, `${path} is the record of ${record.name}`)
  if (record === undefined && (await isThere(dir))) throw unusable(name, `there is no ${path}`)
  return record
}

function unusable(name: string, why: string, cause?: unknown): Problem {
  return new Problem('RECORD_INVALID', `the shed ${name} is broken: ${why}`, {
    hint: `repair the record, or remove the shed with its disk: cowshed delete --force ${name}`,
    cause,
    data: { name },
  })
}

function shedBroken({ message, hint, data, cause }: Problem): Problem {
  return new Problem('SHED_BROKEN', message, { cause, ...(hint === undefined ? {} : { hint }), ...(data && { data }) })
}

/** A link is followed by whoever opens what is below it, so it counts as what it leads to; what cannot be seen is for whoever reads it to tell. */
function mayBeShed(path: string): boolean {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    return stats !== undefined && (stats.isDirectory() || stats.isSymbolicLink())
  } catch {
    return true
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false
    throw problemFromSystem(error, `look at ${path}`)
  }
}
