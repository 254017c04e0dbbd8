import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { DataLayout } from '../../base/index.ts'
import { type KernelRecord, kernelRecordSchema } from './kernel-record.ts'

/** The kernels that are installed; what is damaged is left out. */
export async function installedKernels(layout: DataLayout): Promise<KernelRecord[]> {
  const names = await readdir(layout.kernels).catch(() => [])
  const records = await Promise.all(names.map((name) => readRecord(layout.kernel(name).record)))
  return records.filter((record) => record !== undefined)
}

/** Whether the files of a kernel are those that its record speaks of, to the byte. */
export async function isWhole(layout: DataLayout, record: KernelRecord): Promise<boolean> {
  const paths = layout.kernel(record.id)
  const found = await readRecord(paths.record)
  return (
    found?.id === record.id &&
    (await sha256OfFile(paths.vmlinuz)) === record.vmlinuz_sha256 &&
    (await sha256OfFile(paths.initrd)) === record.initrd_sha256
  )
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function sha256OfFile(path: string): Promise<string | undefined> {
  return await readFile(path).then(sha256, () => undefined)
}

async function readRecord(path: string): Promise<KernelRecord | undefined> {
  try {
    return kernelRecordSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return undefined
  }
}
