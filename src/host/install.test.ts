import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { toolsFor, withSmallFilesystem } from '../../test/support/filesystems.ts'
import { needs } from '../../test/support/needs.ts'
import { runScript } from '../../test/support/node-script.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { dataLayout } from '../base/index.ts'
import {
  installDirectory,
  installFile,
  openStaging,
  runTool,
  sweepStaging,
  syncDirectory,
  writeFileAtomically,
} from './index.ts'

const killedAtStep = new URL('./killed-at-step.testkit.ts', import.meta.url)

describe('writeFileAtomically', () => {
  test('replaces content and mode, and leaves no temporary file', async () => {
    await using dir = await temporaryDirectory()
    const path = join(dir.path, 'record.json')
    await writeFileAtomically(path, 'old', { mode: 0o666 })
    expect((await stat(path)).mode & 0o777).toBe(0o666)
    await writeFileAtomically(path, Buffer.from('new'))
    expect(await readFile(path, 'utf8')).toBe('new')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(dir.path)).toEqual(['record.json'])
  })

  test('of many writers at once one wins whole', async () => {
    await using dir = await temporaryDirectory()
    const path = join(dir.path, 'record.json')
    const contents = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(10_000))
    await Promise.all(contents.map((content) => writeFileAtomically(path, content)))
    expect(contents).toContain(await readFile(path, 'utf8'))
    expect(await readdir(dir.path)).toEqual(['record.json'])
  })

  test('what cannot be written leaves what was there', async () => {
    await using dir = await temporaryDirectory()
    await expect(writeFileAtomically(join(dir.path, 'absent', 'x'), 'x')).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    })
    await mkdir(join(dir.path, 'taken'))
    await expect(writeFileAtomically(join(dir.path, 'taken'), 'x')).rejects.toMatchObject({ code: 'IO_FAILED' })
    expect(await readdir(dir.path)).toEqual(['taken'])
  })
})

describe('a process that is killed before any step of', () => {
  test('installFile leaves the old file or the new one', async () => {
    await using dir = await temporaryDirectory()
    const [from, to] = [join(dir.path, 'staged'), join(dir.path, 'installed')]
    const seen: string[] = []
    const steps = await killAtEveryStep(async (n) => {
      await writeFile(from, 'new'.repeat(1000))
      await writeFile(to, 'old')
      const end = await runScript(killedAtStep, [`${n}`, 'installFile', from, to])
      seen.push(await readFile(to, 'utf8'))
      return end
    })
    expect(steps).toEqual([
      `open ${from}`,
      `chmod ${from}`,
      `sync ${from}`,
      `rename ${to}`,
      `open ${dir.path}`,
      `sync ${dir.path}`,
    ])
    expect(seen).toEqual(['old', 'old', 'old', 'old', ...Array.from({ length: 3 }, () => 'new'.repeat(1000))])
    expect((await stat(to)).mode & 0o777).toBe(0o640)
  })

  test('writeFileAtomically leaves the old content or the new', async () => {
    await using dir = await temporaryDirectory()
    const path = join(dir.path, 'record')
    const seen: string[] = []
    const steps = await killAtEveryStep(async (n) => {
      await writeFile(path, 'old')
      const end = await runScript(killedAtStep, [`${n}`, 'writeFileAtomically', path])
      seen.push(await readFile(path, 'utf8'))
      return end
    })
    expect(steps.map((step) => step.split(' ')[0])).toEqual([
      'open',
      'chmod',
      'writeFile',
      'sync',
      'rename',
      'open',
      'sync',
    ])
    expect(seen).toEqual(['old', 'old', 'old', 'old', 'old', 'new', 'new', 'new'])
  })

  /** Runs with 0 steps, 1 step, … until one lives to its end; its steps are what it printed. */
  async function killAtEveryStep(run: (steps: number) => ReturnType<typeof runScript>): Promise<string[]> {
    for (let n = 0; n < 50; n++) {
      const { stdout, code, signal } = await run(n)
      if (code === 0) return stdout.trim().split('\n')
      expect(signal).toBe('SIGKILL')
    }
    throw new Error('it never ends')
  }
})

describe('installDirectory', () => {
  test('syncs every file and directory before the name appears', async () => {
    await using dir = await temporaryDirectory()
    const [from, to] = [join(dir.path, 'staged'), join(dir.path, 'installed')]
    await mkdir(join(from, 'sub'), { recursive: true })
    await writeFile(join(from, 'file'), 'a')
    await writeFile(join(from, 'sub', 'deep'), 'b')
    const { stdout, code } = await runScript(killedAtStep, ['99', 'installDirectory', from, to])
    expect(code).toBe(0)
    const synced = stdout.split('\n').filter((line) => line.startsWith('sync '))
    expect(synced.slice(0, -1).sort()).toEqual(
      [join(from, 'file'), join(from, 'sub', 'deep'), join(from, 'sub'), from].map((path) => `sync ${path}`).sort(),
    )
    expect(synced.at(-1)).toBe(`sync ${dir.path}`)
    expect(await readFile(join(to, 'sub', 'deep'), 'utf8')).toBe('b')
  })

  test('refuses what is there already, even an empty directory, and of two one wins', async () => {
    await using dir = await temporaryDirectory()
    const staged = async (name: string) => {
      const path = join(dir.path, name)
      await mkdir(path)
      await writeFile(join(path, 'who'), name)
      return path
    }
    const empty = join(dir.path, 'empty')
    await mkdir(empty)
    const refused = installDirectory({ from: await staged('a'), to: empty })
    await expect(refused).rejects.toMatchObject({ code: 'FILE_EXISTS' })
    expect(await readdir(empty)).toEqual([])

    const to = join(dir.path, 'to')
    const both = await Promise.allSettled(
      [await staged('b'), await staged('c')].map((from) => installDirectory({ from, to })),
    )
    expect(both.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected'])
  })
})

describe('staging', () => {
  test('is fresh each time, private, and gone afterwards', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    {
      await using one = await openStaging(layout, 'load image/1')
      await using two = await openStaging(layout, 'load image/1')
      expect(one.path).not.toBe(two.path)
      expect((await stat(one.path)).mode & 0o777).toBe(0o700)
      expect((await readdir(layout.staging)).every((name) => name.startsWith('load-image-1-'))).toBe(true)
      await writeFile(join(one.path, 'half'), 'made')
    }
    expect(await readdir(layout.staging)).toEqual([])
  })

  test('what a crash left is swept', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    expect(await sweepStaging(layout)).toEqual([])
    const left = await openStaging(layout, 'crashed')
    await mkdir(join(left.path, 'deep'))
    expect(await sweepStaging(layout)).toEqual([left.path])
    expect(await readdir(layout.staging)).toEqual([])
  })
})

test.runIf(needs({ root: true, tools: toolsFor('ext4') }))('on a full disk a record stays as it was', async () => {
  await withSmallFilesystem('ext4', 32 << 20, async (directory, fs) => {
    const path = fs.path('record')
    await writeFileAtomically(path, 'old')
    await fs.fill({ leave: '0' })
    const before = await readdir(directory)
    await expect(writeFileAtomically(path, 'x'.repeat(100_000))).rejects.toMatchObject({
      code: 'NO_SPACE',
      hint: expect.stringContaining('cowshed system prune'),
    })
    expect(await readFile(path, 'utf8')).toBe('old')
    expect(await readdir(directory)).toEqual(before)
  })
})

test('importing the door loads no library', async () => {
  const script = `import(${JSON.stringify(import.meta.resolve('./index.ts'))}).then(() => {
    console.log(process.report.getReport().sharedObjects.filter((path) => /koffi|zstd/.test(path)).length)
  })`
  const { stdout } = await runTool(process.execPath, ['--import', import.meta.resolve('tsx'), '-e', script])
  expect(stdout.toString().trim()).toBe('0')
})

test('an install from another filesystem says so', async () => {
  await using dir = await temporaryDirectory()
  await expect(installFile({ from: '/proc/self/stat', to: join(dir.path, 'x') })).rejects.toMatchObject({
    code: 'IO_FAILED',
  })
  await expect(syncDirectory(join(dir.path, 'absent'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
})
