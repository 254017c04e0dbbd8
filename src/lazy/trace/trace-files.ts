import { mkdir, rm } from 'node:fs/promises'
import { type DataLayout, errnoCode, isProblem, problemFromSystem } from '../../base/index.ts'
import {
  type BootTrace,
  bootTraceLimits,
  decodeBootTrace,
  encodeBootTrace,
  isTraceName,
  type TracedLower,
} from '../../formats/index.ts'
import { namesIn, readSmallFile, writeFileAtomically } from '../../host/index.ts'

/** A trace of a lower, by its name. */
export interface NamedTrace {
  readonly name: string
  readonly trace: BootTrace
}

/** A boot trace that this host has of a lower. @returns undefined when there is none that can be used */
export async function readBootTrace(
  layout: DataLayout,
  lower: TracedLower,
  name: string,
): Promise<BootTrace | undefined> {
  try {
    const bytes = await readSmallFile(layout.bootTrace(lower.chunkIndex, name), { maxBytes: bootTraceLimits.bytes })
    return decodeBootTrace(bytes, lower)
  } catch (error) {
    if (isProblem(error) || errnoCode(error) !== undefined) return undefined
    throw error
  }
}

/** All boot traces that this host has of a lower, in the order of their names. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function listBootTraces(layout: DataLayout, lower: TracedLower): Promise<NamedTrace[]> {
  const found: NamedTrace[] = []
  for (const name of (await namesIn(layout.lazyLower(lower.chunkIndex).traces)).filter(isTraceName).sort()) {
    const trace = await readBootTrace(layout, lower, name)
    if (trace !== undefined) found.push({ name, trace })
  }
  return found
}

/** Keeps a trace; its lower's directory is held. @throws Problem NO_SPACE, PERMISSION_DENIED, IO_FAILED */
export async function writeBootTrace(layout: DataLayout, { name, trace }: NamedTrace): Promise<void> {
  const { traces } = layout.lazyLower(trace.chunkIndex)
  try {
    await mkdir(traces, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw problemFromSystem(error, `make ${traces}`)
  }
  await writeFileAtomically(layout.bootTrace(trace.chunkIndex, name), encodeBootTrace(trace))
}

/** Forgets a trace. @throws Problem IO_FAILED */
export async function removeBootTrace(layout: DataLayout, { name, trace }: NamedTrace): Promise<void> {
  const path = layout.bootTrace(trace.chunkIndex, name)
  try {
    await rm(path, { force: true })
  } catch (error) {
    throw problemFromSystem(error, `remove ${path}`)
  }
}
