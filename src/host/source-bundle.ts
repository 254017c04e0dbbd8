import { createHash } from 'node:crypto'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** What is used of esbuild, which is there only where the source is. */
interface Bundler {
  buildSync(options: object): { readonly outputFiles: readonly { readonly contents: Uint8Array }[] }
}

const require = createRequire(import.meta.url)
const bundles = new Map<string, URL>()

/**
 * A TypeScript module as one JavaScript file, for a thread that is started from source: loading it module by module through tsx takes a
 * thread two seconds. It is bundled once in a process.
 *
 * @throws what esbuild says of a module that it cannot read
 */
export function bundleSource(module: URL): URL {
  const known = bundles.get(module.href)
  if (known !== undefined) return known
  const esbuild = require('esbuild') as Bundler
  const { outputFiles } = esbuild.buildSync({
    entryPoints: [fileURLToPath(module)],
    bundle: true,
    write: false,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: 'inline',
    // What a module looks for beside itself is beside its source.
    define: { 'import.meta.url': JSON.stringify(module.href) },
  })
  const bundle = keep(outputFiles[0]?.contents ?? new Uint8Array())
  bundles.set(module.href, bundle)
  return bundle
}

/** Under the name of its content, so that processes side by side write the same; in node_modules, where its packages are found. */
function keep(contents: Uint8Array): URL {
  const modules = dirname(dirname(require.resolve('esbuild/package.json')))
  const path = join(modules, '.cache/cowshed', `${createHash('sha256').update(contents).digest('hex')}.mjs`)
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.${process.hrtime.bigint()}`
  writeFileSync(temporary, contents)
  renameSync(temporary, path)
  return pathToFileURL(path)
}
