import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Digest, isProblem } from '../../base/index.ts'
import { LazyCounts, LazyHeat } from '../../contract/index.ts'
import { namesIn, processStartTime } from '../../host/index.ts'
import type { LazyLower, LeafHeat } from '../../lazy/index.ts'
import { readRecord, writeRecord } from '../../state/index.ts'
import type { NbdServer } from '../../wires/index.ts'

/** A counter that whoever serves does not know, because he is of another version, stands at 0. */
const Counts = z.preprocess((known) => ({ ...noCounts, ...(known as object) }), LazyCounts)

const noCounts = Object.fromEntries(Object.keys(LazyCounts.shape).map((name) => [name, 0]))

/** What a process that serves a lower says of itself. */
export const ServingStatus = z.object({
  version: z.literal(1),
  /** Both name the process. @see processStartTime */
  pid: z.int(),
  start_time: z.string(),
  chunk_index_digest: z.string(),
  since: z.iso.datetime(),
  /** Who is connected, this host's daemon among them. */
  clients: z.int(),
  /** Of 64 KiB: how many there are, and how many of them it has not seen to be right. */
  leaves: z.object({ count: z.int(), missing: z.int() }),
  /** Of the lower: all of it, and what seems to be here. */
  bytes: z.int(),
  here_bytes: z.int(),
  heat: LazyHeat,
  /** It has seen all of them. */
  complete: z.boolean(),
  /** Whether the registry gives what is asked for; `unasked` while nothing has come from it and nothing has failed. */
  origin: z.enum(['unasked', 'gives', 'degraded']),
  degraded: z.object({ since: z.iso.datetime(), reason: z.string() }).optional(),
  /** Nothing of it was verified so far, for want of a chunk index. */
  unverified: z.literal(true).optional(),
  /** All of it came, and is not what its digest says. */
  wrong: z.object({ since: z.iso.datetime(), reason: z.string() }).optional(),
  counts: Counts,
})
export type ServingStatus = z.infer<typeof ServingStatus>

/** What somebody who serves, or did so last, has said of himself. */
export interface Serving extends ServingStatus {
  /** He still does. */
  readonly isAlive: boolean
}

/** How often it is looked whether there is something new to tell, in milliseconds. */
const lookMs = 1_000

export interface TellStatus {
  /** Of this lower alone. @see servingDirectory */
  readonly directory: string
  readonly chunkIndex: Digest
  readonly lower: Pick<LazyLower, 'bytes' | 'leaves' | 'hereBytes' | 'heat' | 'origin' | 'doubt' | 'counters'>
  readonly server: Pick<NbdServer, 'counters'>
}

export interface StatusTeller extends AsyncDisposable {
  /** At once, because something has changed that others wait for. */
  tell(): void
}

/**
 * Keeps what this process does in a file of its own, for whoever wants to see it: written whenever something has changed, once a second at most, and in the end. It
 * stays there when the process ends, until another serves the same lower. That it cannot be written is nobody's harm.
 */
export async function tellStatus(options: TellStatus): Promise<StatusTeller> {
  const identity = { pid: process.pid, start_time: processStartTime(process.pid) ?? '' }
  const path = join(options.directory, `status-${process.pid}.json`)
  const since = new Date().toISOString()
  let told = ''
  const write = async () => {
    const status = { ...identity, ...statusOf(options), since }
    if (JSON.stringify(status) === told) return
    told = JSON.stringify(status)
    await writeRecord(path, status).catch(() => {})
  }
  // One after the other: what was looked at last is what stays.
  let writing = removeDead(options.directory).then(write)
  const tell = () => {
    writing = writing.then(write)
  }
  const timer = setInterval(tell, lookMs)
  timer.unref()
  await writing
  return {
    tell,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      tell()
      await writing
    },
  }
}

/** Those who serve a lower now, and those who did last: the living first, the last to begin before others. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function readServing(directory: string): Promise<Serving[]> {
  const found: Serving[] = []
  for (const name of await namesIn(directory)) {
    if (!statusName.test(name)) continue
    const status = await readStatus(join(directory, name))
    if (status === undefined) continue
    found.push({ ...status, isAlive: processStartTime(status.pid) === status.start_time })
  }
  return found.sort((a, b) => Number(b.isAlive) - Number(a.isAlive) || (a.since < b.since ? 1 : -1))
}

export function countsOf({ counters }: Pick<LazyLower, 'counters'>, server: Pick<NbdServer, 'counters'>): LazyCounts {
  return {
    requests: counters.requests,
    requested_bytes: counters.requestedBytes,
    fetched_bytes: counters.fetchedBytes,
    unread_bytes: counters.unreadBytes,
    host_bytes: counters.hostBytes,
    read_bytes: server.counters().readBytes,
    misses: counters.misses,
    stall_ms: Math.round(counters.stallMs),
    retries: counters.retries,
    wrong_leaves: counters.wrongLeaves,
    damaged_leaves: counters.damagedLeaves,
    unsaved_leaves: counters.unsavedLeaves,
  }
}

export function heatOf({ cellBytes, ...shares }: LeafHeat): LazyHeat {
  return { cell_bytes: cellBytes, here: [...shares.here], read: [...shares.read], ahead: [...shares.ahead] }
}

function statusOf({ chunkIndex, lower, server }: TellStatus): Omit<ServingStatus, 'pid' | 'start_time' | 'since'> {
  const { leaves, origin, doubt } = lower
  return {
    version: 1,
    chunk_index_digest: chunkIndex,
    clients: server.counters().clients,
    leaves,
    bytes: lower.bytes,
    here_bytes: lower.hereBytes(),
    heat: heatOf(lower.heat()),
    complete: leaves.missing === 0,
    origin: origin.state,
    ...(doubt === 'unverified' && { unverified: true }),
    ...(origin.state === 'degraded' && {
      [doubt === 'wrong' ? 'wrong' : 'degraded']: {
        since: origin.since.toISOString(),
        reason: origin.problem.message,
      },
    }),
    counts: countsOf(lower, server),
  }
}

const statusName = /^status-(\d+)\.json$/
/** Also what was half written. */
const anyStatusName = /^\.?status-(\d+)\.json/

/** What those have left who are gone. */
async function removeDead(directory: string): Promise<void> {
  try {
    for (const name of await namesIn(directory)) {
      const [, pid] = anyStatusName.exec(name) ?? []
      if (pid !== undefined && processStartTime(Number(pid)) === undefined)
        await rm(join(directory, name), { force: true })
    }
  } catch {
    // It is in nobody's way.
  }
}

/** One that cannot be read says nothing. */
async function readStatus(path: string): Promise<ServingStatus | undefined> {
  try {
    return await readRecord(path, ServingStatus)
  } catch (error) {
    if (isProblem(error, 'RECORD_INVALID')) return undefined
    throw error
  }
}
