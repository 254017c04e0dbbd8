import {
  appendFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { fileFinder } from './find-files.ts'

const names = ['a', 'b', 'c']
const place = fc.tuple(fc.constantFrom('', ...names), fc.constantFrom(...names)).map((parts) => join(...parts))
const deed = fc.record({
  do: fc.constantFrom('write', 'keep times', 'directory', 'link', 'move', 'symlink', 'delete'),
  place,
  to: place,
})

test('whatever is done to a tree, who has looked at it before finds what one finds who has not', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 3, arbitrary: deed }, fc.constant('look' as const)), { maxLength: 40 }),
      async (deeds) => {
        await using directory = await temporaryDirectory()
        const finder = fileFinder(directory.path)
        for (const one of deeds) {
          if (one === 'look') await finder.find()
          else unlessImpossible(() => change(directory.path, one))
        }
        expect(await finder.find()).toEqual(await fileFinder(directory.path).find())
      },
    ),
    { numRuns: 150 },
  )
})

test('a tree that has been left alone for a while is remembered, and any change of it is seen', async () => {
  await using directory = await temporaryDirectory()
  const path = (...parts: string[]) => join(directory.path, ...parts)
  for (const name of names) {
    mkdirSync(path(name))
    writeFileSync(path(name, 'file'), name)
  }
  await new Promise((resolve) => setTimeout(resolve, 150))
  const finder = fileFinder(directory.path)
  const first = await finder.find()
  const again = await finder.find()
  for (const [file, found] of first) expect(again.get(file)).toBe(found)
  // Only its own times tell: no directory has changed.
  const { mtime } = lstatSync(path('a/file'))
  writeFileSync(path('a/file'), 'A')
  utimesSync(path('a/file'), mtime, mtime)
  const after = await finder.find()
  expect(after.get(path('a/file'))).not.toBe(first.get(path('a/file')))
  expect(after.get(path('b/file'))).toBe(first.get(path('b/file')))
  writeFileSync(path('b/new'), '')
  renameSync(path('c/file'), path('c/renamed'))
  expect([...(await finder.find()).keys()].sort()).toEqual(
    ['a/file', 'b/file', 'b/new', 'c/renamed'].map((one) => path(one)),
  )
})

function change(root: string, { do: what, place: name, to }: { do: string; place: string; to: string }): void {
  const path = join(root, name)
  if (what === 'write') appendFileSync(path, 'x')
  else if (what === 'keep times') {
    const { atime, mtime } = lstatSync(path)
    writeFileSync(path, 'other')
    utimesSync(path, atime, mtime)
  } else if (what === 'directory') mkdirSync(path)
  else if (what === 'link') linkSync(path, join(root, to))
  else if (what === 'move') renameSync(path, join(root, to))
  else if (what === 'symlink') symlinkSync(join(root, to), path)
  else rmSync(path, { recursive: true })
}

function unlessImpossible(work: () => void): void {
  try {
    work()
  } catch (error) {
    // As things are, there is no such file, or there is one, or it is something else.
    if (!(error instanceof Error && 'syscall' in error)) throw error
  }
}
