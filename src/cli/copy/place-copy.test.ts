import { expect, test } from 'vitest'
import { isProblem } from '../../base/index.ts'
import { placeCopy } from './place-copy.ts'

const file = { from: 'a/f', name: 'f', isDirectory: false }
const directory = { from: 'a/d', name: 'd', isDirectory: true }

/** Every row of the table in the documentation of `docker cp`. */
test.each([
  ['a file to a new name', { ...file, to: '/x', existing: undefined }, '/x'],
  ['a file over a file', { ...file, to: '/x', existing: 'other' }, '/x'],
  ['a file into a directory', { ...file, to: '/x', existing: 'directory' }, '/x/f'],
  ['a file into a directory with a slash', { ...file, to: '/x/', existing: 'directory' }, '/x/f'],
  ['a file into a directory that is not there', { ...file, to: '/x/', existing: undefined }, 'FILE_NOT_FOUND'],
  ['a file into what is a file', { ...file, to: '/x/', existing: 'other' }, 'FILE_EXISTS'],
  ['a directory to a new name', { ...directory, to: '/x', existing: undefined }, '/x'],
  ['a directory to a new name with a slash', { ...directory, to: '/x//', existing: undefined }, '/x'],
  ['a directory over a file', { ...directory, to: '/x', existing: 'other' }, 'FILE_EXISTS'],
  ['a directory into a directory', { ...directory, to: '/x', existing: 'directory' }, '/x/d'],
  ['a directory with a slash', { ...directory, from: 'a/d/', to: '/x', existing: 'directory' }, '/x/d'],
  ['what is in a directory', { ...directory, from: 'a/d/.', to: '/x', existing: 'directory' }, '/x'],
  ['what is in this directory', { ...directory, from: '.', to: '/x', existing: 'directory' }, '/x'],
  ['a root', { from: '/', name: '', isDirectory: true, to: '/x', existing: 'directory' }, '/x'],
  ['into the root', { ...file, to: '/', existing: 'directory' }, '/f'],
] as const)('%s', (_, copy, expected) => {
  expect(resultOf(() => placeCopy(copy))).toBe(expected)
})

function resultOf(work: () => string): string {
  try {
    return work()
  } catch (error) {
    if (isProblem(error)) return error.code
    throw error
  }
}
