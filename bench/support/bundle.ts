import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '../..')

/**
 * Bundles modules as the released program is bundled: what is measured is not the TypeScript loader.
 *
 * @param modules paths from the project's root; the workers that they start must be among them
 * @returns the directory of the bundles, each named after its module
 */
export async function bundle(name: string, modules: readonly string[]): Promise<string> {
  // Inside the project, so that its packages are found from there.
  const outdir = join(root, 'bench/results/build', name)
  rmSync(outdir, { recursive: true, force: true })
  await build({
    entryPoints: modules.map((module) => join(root, module)),
    outdir,
    entryNames: '[name]',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: ['koffi'],
    logLevel: 'warning',
  })
  return outdir
}
