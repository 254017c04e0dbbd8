/**
 * Builds dist/: the CLI in chunks that are loaded when they are needed, the daemon, `lazy serve`, and one file for each worker.
 *
 *   node scripts/build.mjs [OUTDIR]
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const target = process.argv[2] ?? join(root, 'dist')
const outdir = `${target}.${process.pid}`
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const common = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  outdir,
  sourcemap: true,
  define: { COWSHED_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
}

/** CommonJS packages ask for Node's own modules with require, which an ES module does not have. */
const requireBanner =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);"

/**
 * The schemas of contract/ do nothing by being made, which esbuild cannot see: without this the CLI, which needs only types and a few
 * constants from there, would load zod.
 */
const contractIsPure = {
  name: 'contract-is-pure',
  setup({ onResolve }) {
    onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir }) => {
      const resolved = join(resolveDir, path)
      return resolved.startsWith(join(root, 'src/contract/')) ? { path: resolved, sideEffects: false } : undefined
    })
  },
}

removeLeftovers()
try {
  await Promise.all([buildCli(), buildDaemon()])
  install()
} finally {
  rmSync(outdir, { recursive: true, force: true })
}

/** What builds that were killed have left beside the target. */
function removeLeftovers() {
  const begin = `${basename(target)}.`
  for (const name of readdirSync(dirname(target))) {
    const pid = name.startsWith(begin) ? Number.parseInt(name.slice(begin.length), 10) : Number.NaN
    if (pid > 0 && !isAlive(pid)) rmSync(join(dirname(target), name), { recursive: true, force: true })
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code !== 'ESRCH'
  }
}

/** The new build takes the old one's place at once: a command that starts meanwhile finds one or the other. */
function install() {
  const old = `${outdir}.old`
  if (existsSync(target)) renameSync(target, old)
  renameSync(outdir, target)
  rmSync(old, { recursive: true, force: true })
}

function buildCli() {
  return build({
    ...common,
    entryPoints: { cli: join(root, 'src/cli/index.ts') },
    splitting: true,
    minify: true,
    chunkNames: 'cli/[name]-[hash]',
    plugins: [contractIsPure],
    banner: { js: requireBanner },
  })
}

function buildDaemon() {
  // host/ has the machinery of workers, not a worker.
  const workers = sourceFiles('src').filter((path) => path.endsWith('-worker.ts') && !path.includes('/src/host/'))
  return build({
    ...common,
    entryPoints: {
      daemon: join(root, 'src/daemon/index.ts'),
      // By itself it is loaded in a third of the time: whoever waits for it waits for what it reads.
      'serve-lazy': join(root, 'src/daemon/lazy/serve-lazy.ts'),
      ...Object.fromEntries(workers.map((path) => [basename(path, '.ts'), path])),
    },
    // Native modules are loaded from node_modules as they are.
    external: ['koffi', '@photostructure/sqlite'],
    banner: { js: requireBanner },
  })
}

function sourceFiles(folder) {
  return readdirSync(join(root, folder), { recursive: true }).map((path) => join(root, folder, path))
}
