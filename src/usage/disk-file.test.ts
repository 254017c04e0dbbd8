import { expect, test } from 'vitest'
import { type DiskFile, freedSize, sumSizes } from './disk-file.ts'

const file = (path: string, inode: string, links = 1): DiskFile => ({
  path,
  inode,
  links,
  size: { logical_bytes: 10, physical_bytes: 4096 },
  modifiedAt: 0,
  changedAt: 0,
})

test('a file with two names is counted once, and freed when both go', () => {
  const [a, b, c] = [file('/a', '1:1', 2), file('/b', '1:1', 2), file('/c', '1:2')]
  expect(sumSizes([a, b, c])).toEqual({ logical_bytes: 20, physical_bytes: 8192 })
  expect(freedSize([a, c])).toEqual({ logical_bytes: 10, physical_bytes: 4096 })
  expect(freedSize([a, b, c])).toEqual({ logical_bytes: 20, physical_bytes: 8192 })
  // The same name twice is one name.
  expect(freedSize([a, a])).toEqual({ logical_bytes: 0, physical_bytes: 0 })
})
