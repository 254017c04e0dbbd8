import { existsSync } from 'node:fs'
import { chmod, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'
import { RamFiles } from './ram-files.ts'

const mib = 2 ** 20

describe('the RAM of sheds', () => {
  test.runIf(needs({ root: true, tools: ['mount', 'umount'] }))(
    'is on the tmpfs as long as all of it fits there, whoever it is of, and else on the disk',
    async () => {
      await using place = await openPlace()
      const { ours, theirs, tmpfs } = place
      // 64 MiB of 300 are for whoever else is there.
      const [one, two] = await Promise.all(['one', 'two'].map((name) => ours.ram.place(shed(name, 130))))
      expect([one, two].filter((path) => path?.startsWith(tmpfs))).toHaveLength(1)
      for (const path of [one, two]) {
        const { size, mode } = await stat(path ?? '')
        expect([size, mode & 0o777]).toEqual([130 * mib, 0o600])
      }
      // What is a hole yet is not free, whichever daemon it is of.
      expect(await theirs.ram.place(shed('three', 130))).toBe(theirs.layout.shed('three').ram)
      expect(await theirs.ram.place(shed('four', 100))).toMatch(tmpfs)
      await Promise.all(['one', 'two'].map((name) => ours.ram.remove(name)))
      for (const path of [one, two]) expect(existsSync(path ?? '')).toBe(false)
      expect(await ours.ram.place(shed('one', 130))).toMatch(tmpfs)
      // Once more, for its next VM.
      expect(await ours.ram.place(shed('one', 130))).toMatch(tmpfs)
    },
  )

  test.runIf(needs({ root: true, tools: ['mount', 'umount'] }))(
    'that belongs to nobody goes, and its directory with the last',
    async () => {
      await using place = await openPlace()
      const { ours, tmpfs } = place
      const kept = await ours.ram.place(shed('one', 10))
      await writeFile(join(tmpfs, 'cowshed-ours/gone.ram'), 'left')
      await ours.ram.sweep(new Set(['one']))
      expect([existsSync(kept), existsSync(join(tmpfs, 'cowshed-ours/gone.ram'))]).toEqual([true, false])
      await ours.ram.remove('one')
      expect(existsSync(join(tmpfs, 'cowshed-ours'))).toBe(false)
    },
  )

  test('is on the disk where there is no tmpfs, or where others could look at it', async () => {
    await using directory = await temporaryDirectory()
    const { layout, ram } = await ramOf(directory.path, join(directory.path, 'no-tmpfs'))
    expect(await ram.place(shed('one', 10))).toBe(layout.shed('one').ram)
    await mkdir(join(directory.path, 'open-to-all'))
    await chmod(join(directory.path, 'open-to-all'), 0o755)
    const open = await ramOf(directory.path, join(directory.path, 'open-to-all'))
    expect(await open.ram.place(shed('two', 10))).toBe(layout.shed('two').ram)
  })
})

function shed(name: string, memoryMib: number) {
  return { name, memory_bytes: memoryMib * mib }
}

/** Two data directories whose RAM goes to one tmpfs of 300 MiB. */
async function openPlace() {
  const directory = await temporaryDirectory()
  const tmpfs = join(directory.path, 'tmpfs')
  await mkdir(tmpfs)
  await runTool('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'tmpfs', tmpfs])
  return {
    tmpfs,
    ours: await ramOf(join(directory.path, 'ours'), join(tmpfs, 'cowshed-ours')),
    theirs: await ramOf(join(directory.path, 'theirs'), join(tmpfs, 'cowshed-theirs')),
    async [Symbol.asyncDispose]() {
      await runTool('umount', [tmpfs])
      await directory[Symbol.asyncDispose]()
    },
  }
}

async function ramOf(root: string, ramDirectory: string) {
  const layout = dataLayout(root)
  for (const name of ['one', 'two', 'three', 'four']) await mkdir(layout.shed(name).dir, { recursive: true })
  return { layout, ram: new RamFiles({ layout, ramDirectory }) }
}
