import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dice } from '../../test/support/dice.ts'
import { killScript } from '../../test/support/node-script.ts'
import { openClient, RefusedRead } from '../wires/nbd/nbd.testkit.ts'

export interface StartedServer {
  readonly child: ChildProcess
  /** When it can be connected to. */
  readonly ready: Promise<unknown>
}

export interface KillStorm {
  /** Starts a server of the lower, that listens on the socket. */
  readonly start: () => Promise<StartedServer>
  readonly socket: string
  /** What every byte must be. */
  readonly lower: Buffer
  readonly kills: number
  readonly dice: Dice
  /** While nobody serves. */
  readonly damage?: (kill: number) => Promise<void>
  readonly onKill?: (report: StormReport) => void
}

export interface StormReport {
  readonly kills: number
  /** Reads that gave the right bytes. */
  readonly reads: number
  /** Reads that the server said had failed. */
  readonly refused: number
  /** Connections that ended in the middle of something, or could not be made. */
  readonly lost: number
}

const readers = 3
/** Of one read, in bytes. */
const longest = 400_000
/** Right reads before a kill; and milliseconds before one that does not wait until there is a server. */
const [mostReads, mostMs] = [40, 300]

/**
 * Serves a lower by processes that are killed one after the other, each at some moment, while several read all over it and go on with the next one.
 *
 * @throws Error at the first wrong byte
 */
export async function killStorm({
  start,
  socket,
  lower,
  kills,
  dice,
  damage,
  onKill,
}: KillStorm): Promise<StormReport> {
  const report = { kills: 0, reads: 0, refused: 0, lost: 0 }
  const over = new AbortController()
  const reading = Array.from({ length: readers }, () => readOn({ socket, lower, dice, report, signal: over.signal }))
  const failed = Promise.race(reading)
  try {
    for (; report.kills < kills; report.kills++) {
      await damage?.(report.kills)
      const { child, ready } = await start()
      ready.catch(() => undefined)
      try {
        if (dice(5) === 0) await Promise.race([ready, sleep(dice(mostMs)), failed])
        else {
          await Promise.race([ready, failed])
          const enough = report.reads + dice(mostReads)
          while (report.reads < enough) await Promise.race([sleep(1), failed])
        }
      } finally {
        await killScript(child)
      }
      onKill?.(report)
    }
  } finally {
    over.abort()
  }
  await Promise.all(reading)
  return report
}

interface Reader {
  readonly socket: string
  readonly lower: Buffer
  readonly dice: Dice
  readonly report: { reads: number; refused: number; lost: number }
  readonly signal: AbortSignal
}

/** Ends when it is told to, or with the first wrong byte. */
async function readOn({ socket, lower, dice, report, signal }: Reader): Promise<void> {
  while (!signal.aborted) {
    try {
      await using client = await openClient({ kind: 'unix', path: socket })
      await client.go()
      while (!signal.aborted) {
        const offset = dice(lower.length)
        const length = Math.min(1 + dice(longest), lower.length - offset)
        const bytes = await client.read(offset, length)
        if (!bytes.equals(lower.subarray(offset, offset + length))) throw new WrongByte(offset, length)
        report.reads++
      }
    } catch (error) {
      if (error instanceof WrongByte) throw error
      if (error instanceof RefusedRead) report.refused++
      else report.lost++
      await sleep(10)
    }
  }
}

class WrongByte extends Error {
  constructor(offset: number, length: number) {
    super(`a wrong byte in ${offset}+${length}`)
  }
}
