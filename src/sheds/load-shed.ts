import { lstat, readdir } from 'node:fs/promises'
import { type DataLayout, errnoCode, isName, isProblem, Problem, problemFromSystem } from '../base/index.ts'
import { readRecord } from '../state/index.ts'
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

/** Reads every record, sorted by name. A shed that is removed meanwhile is not there; what has a name that no shed can have is none. */
export async function loadAllSheds({ layout }: WithLayout): Promise<LoadedShed[]> {
  const names = (await namesBelow(layout.sheds)).filter(isName).sort()
  const loaded = await Promise.all(names.map((name) => loadOne(layout, name)))
  return loaded.flatMap((shed) => shed ?? [])
}

async function loadOne(layout: DataLayout, name: string): Promise<LoadedShed | undefined> {
  try {
    const record = await readShed(layout, name)
    return record === undefined ? undefined : { name, record }
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

/** A link is followed by whoever opens what is below it, so it counts as what it leads to. */
async function namesBelow(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map(({ name }) => name)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return []
    throw problemFromSystem(error, `list ${directory}`)
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
