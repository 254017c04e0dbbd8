import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import type { DataLayout } from '../../src/base/index.ts'

/** A file of the same size with nothing in it. */
export async function writeZeros(path: string): Promise<void> {
  const { size } = await stat(path)
  await truncate(path, 0)
  await truncate(path, size)
}

/** Puts other values into a JSON object, also where nobody is to write to it. */
export async function changeJson(path: string, to: object): Promise<void> {
  const text = JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...to })
  const { mode } = await stat(path)
  await rm(path)
  await writeFile(path, text, { mode: mode & 0o777 })
}

/** Has the memory of a shed or of a snapshot belong to another machine. */
export async function changeIdentity(
  { memoryRecord }: Pick<ReturnType<DataLayout['snapshot']>, 'memoryRecord'>,
  to: object,
): Promise<void> {
  const { identity } = JSON.parse(await readFile(memoryRecord, 'utf8')) as { identity: object }
  await changeJson(memoryRecord, { identity: { ...identity, ...to } })
}
