import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeDemoImage } from './make-demo-image.ts'

const image = 'cowshed-demo:latest'
const sheds = ['demo-a', 'demo-b'] as const
const launcher = join(import.meta.dirname, '../bin/cowshed')

/** The main job, end to end, for a person to watch: `./dev demo`. Run again, it uses what is there. `./dev demo --clean` removes it. */
async function demo(): Promise<void> {
  if (process.argv.includes('--clean')) return await clean()
  const began = Date.now()
  const directory = join(tmpdir(), `cowshed-demo-${process.getuid?.() ?? 0}`)
  await mkdir(directory, { recursive: true, mode: 0o700 })

  title('A Debian image of three layers (the last one deletes files of the first)')
  await makeDemoImage(join(directory, 'image'), image)
  await cowshed('image', 'load', join(directory, 'image'))
  await cowshed('image', 'ls')

  title('Two sheds from it: the lower is built once, each gets an upper of its own')
  for (const name of sheds) await cowshed('create', name, '--image', image)
  await cowshed('ls')

  title('Each is a machine of its own')
  for (const name of sheds) await cowshed('exec', name, '--', 'hello')
  await cowshed('exec', sheds[0], '--', 'sh', '-c', 'ls /usr/share/doc /srv 2>&1; df -h / | tail -1')

  title('What one writes, the other does not see')
  await cowshed('exec', sheds[0], '--', 'sh', '-c', 'head -c 20000000 /dev/urandom > /root/mine; sync; ls -l /root')
  await cowshed('exec', sheds[1], '--', 'ls', '-l', '/root')

  title('What all this costs: one image, two small uppers')
  await cowshed('system', 'df', '-v')

  title('What could be removed: a shed that is stopped, were it not so recent; nothing is removed here')
  await cowshed('stop', sheds[1])
  await cowshed('system', 'prune', '--dry-run')
  await cowshed('system', 'prune', '--dry-run', '--until', '0s')

  title(`Done in ${Math.round((Date.now() - began) / 1000)} s. Go on with`)
  process.stdout.write(
    ['shell demo-a', 'forward demo-a 8000', 'start demo-b', 'image load IMAGE.tar', 'doctor', '--help']
      .map((line) => `  bin/cowshed ${line}\n`)
      .join(''),
  )
  process.stdout.write('  ./dev demo --clean          removes the two sheds and the image\n')
}

async function clean(): Promise<void> {
  // What is not there any more has been removed by hand.
  for (const name of sheds) await run('delete', '--force', name)
  await run('image', 'rm', image)
}

function title(text: string): void {
  process.stdout.write(`\n\u001b[1m==> ${text}\u001b[0m\n`)
}

/** A command that must succeed for the rest to make sense. */
async function cowshed(...args: string[]): Promise<void> {
  const code = await run(...args)
  if (code !== 0) process.exit(code)
}

/** @returns the exit code */
async function run(...args: string[]): Promise<number> {
  process.stdout.write(`\u001b[2m$ cowshed ${args.map(quoted).join(' ')}\u001b[0m\n`)
  const child = spawn(process.execPath, [launcher, ...args], { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

await demo()
