import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Problem, problemFromSystem } from '../../base/index.ts'
import { decompress, runTool } from '../../host/index.ts'
import { moduleName } from './read-module-info.ts'

/** The modules of one kernel, by name. */
export interface ModuleTree {
  readonly directory: string
  /** Where each module is. */
  readonly files: ReadonlyMap<string, string>
  /** What the kernel has without a module. */
  readonly builtin: ReadonlySet<string>
}

/**
 * Looks through a `/lib/modules/<release>` directory. A package's, where depmod has never run, will do.
 *
 * @throws Problem FILE_NOT_FOUND
 */
export async function readModuleTree(directory: string): Promise<ModuleTree> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile() && /\.ko(\.(xz|gz|zst))?$/.test(entry.name))
    return {
      directory,
      files: new Map(files.map((entry) => [moduleName(entry.name), join(entry.parentPath, entry.name)])),
      builtin: new Set(await builtinModules(join(directory, 'modules.builtin'))),
    }
  } catch (error) {
    throw problemFromSystem(error, `read the modules in ${directory}`)
  }
}

/**
 * The bytes of a module, decompressed.
 *
 * @throws Problem KERNEL_INVALID, COMPRESSION_INVALID, TOOL_NOT_FOUND for xz
 */
export async function readModule(path: string): Promise<Buffer> {
  const bytes = await readFile(path)
  if (path.endsWith('.ko')) return bytes
  if (path.endsWith('.xz'))
    return (await runTool('xz', ['-dc'], { input: bytes, maxOutputBytes: maxModuleBytes })).stdout
  const compression = path.endsWith('.gz') ? 'gzip' : 'zstd'
  const chunks: Buffer[] = []
  for await (const chunk of decompress(once(bytes), { compression, maxBytes: maxModuleBytes })) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** No module that a shed needs comes near this. */
const maxModuleBytes = 64 * 1024 * 1024

async function builtinModules(path: string): Promise<string[]> {
  const text = await readFile(path, 'latin1').catch((cause: unknown) => {
    throw new Problem('KERNEL_INVALID', `${path} is missing: which modules are built in is not known`, {
      hint: 'name the directory /lib/modules/<release> of the kernel',
      cause,
    })
  })
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => moduleName(basename(line)))
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
