import { access, readFile } from 'node:fs/promises'
import { type DataLayout, errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import type { KernelFiles } from '../kernel-files.ts'
import { type KernelRecord, kernelRecordSchema } from './kernel-record.ts'

/**
 * The kernel that sheds boot: the one that was installed last.
 *
 * @throws Problem KERNEL_NOT_FOUND before the first setup; RECORD_INVALID, KERNEL_INVALID when it is damaged
 */
export async function currentKernel(layout: DataLayout): Promise<KernelFiles> {
  const id = (await readOr(layout.currentKernel, notSetUp)).trim()
  if (!/^[0-9a-f]{32}$/.test(id)) throw damaged(layout.currentKernel)
  return await kernelOf(layout, id)
}

/** A kernel that was installed once. @throws Problem RECORD_INVALID, KERNEL_INVALID when it is damaged or not there */
export async function kernelOf(layout: DataLayout, id: string): Promise<KernelFiles> {
  const paths = layout.kernel(id)
  const record = parseRecord(await readOr(paths.record, () => incomplete(paths.record)), paths.record)
  if (record.id !== id) throw damaged(paths.record)
  for (const path of [paths.vmlinuz, paths.initrd]) {
    await access(path).catch(() => {
      throw incomplete(path)
    })
  }
  return kernelFiles(layout, record)
}

export function kernelFiles(layout: DataLayout, { id, release }: KernelRecord): KernelFiles {
  const { vmlinuz, initrd } = layout.kernel(id)
  return { id, release, vmlinuz, initrd }
}

async function readOr(path: string, absent: () => Problem): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') throw absent()
    throw problemFromSystem(error, `read ${path}`)
  }
}

function parseRecord(text: string, path: string): KernelRecord {
  try {
    return kernelRecordSchema.parse(JSON.parse(text))
  } catch (cause) {
    throw damaged(path, cause)
  }
}

function notSetUp(): Problem {
  return new Problem('KERNEL_NOT_FOUND', 'there is no guest kernel yet', { hint: 'run: cowshed setup' })
}

function incomplete(path: string): Problem {
  return new Problem('KERNEL_INVALID', `the guest kernel is incomplete: ${path} is missing`, {
    hint: 'run: cowshed setup',
  })
}

function damaged(path: string, cause?: unknown): Problem {
  return new Problem('RECORD_INVALID', `${path} is damaged`, { hint: 'run: cowshed setup', cause })
}
