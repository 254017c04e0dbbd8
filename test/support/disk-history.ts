import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { noise } from './noise.ts'
import { reflink } from './reflink.ts'

/** One thing that is done to files a, b, c, …; what cannot be done as things are is left out. */
export type Deed =
  | {
      readonly do: 'write'
      readonly file: number
      readonly at: number
      readonly bytes: number
      readonly dull: boolean
      readonly sync: boolean
    }
  | { readonly do: 'clone'; readonly file: number; readonly to: number }
  | { readonly do: 'link'; readonly file: number; readonly to: number }
  | { readonly do: 'delete'; readonly file: number }
  | { readonly do: 'measure' }

const fileNames = ['a', 'b', 'c', 'd', 'e', 'f']
const file = fc.nat(fileNames.length - 1)

export const history = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('write' as const),
        file,
        at: fc.nat(400).map((block) => block * 4096),
        bytes: fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 3 * 2 ** 20 })),
        dull: fc.boolean(),
        sync: fc.boolean(),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('clone' as const), file, to: file }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('link' as const), file, to: file }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), file }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('measure' as const) }) },
  ),
  { minLength: 10, maxLength: 40 },
)

/** Does it all, in a directory of its own. @param measure is called where the history says so */
export function live(
  directory: string,
  deeds: readonly Deed[],
  options: { reflinks: boolean; measure: () => void },
): void {
  const path = (at: number) => join(directory, fileNames[at] ?? '')
  const isThere = (at: number) => readdirSync(directory).includes(fileNames[at] ?? '')
  for (const [seed, deed] of deeds.entries()) {
    if (deed.do === 'measure') options.measure()
    else if (deed.do === 'write') write(path(deed.file), deed, seed)
    else if (!isThere(deed.file)) continue
    else if (deed.do === 'delete') rmSync(path(deed.file))
    else if (deed.file === deed.to) continue
    else {
      // As install does it: beside it, then in its place.
      const fresh = join(directory, 'new')
      if (deed.do === 'link') linkSync(path(deed.file), fresh)
      else if (options.reflinks) reflink(path(deed.file), fresh)
      else continue
      renameSync(fresh, path(deed.to))
      // A rename of one name of a file to another name of it does nothing.
      rmSync(fresh, { force: true })
    }
  }
}

function write(path: string, { at, bytes, dull, sync }: Extract<Deed, { do: 'write' }>, seed: number): void {
  const fd = openSync(path, lstatSync(path, { throwIfNoEntry: false }) === undefined ? 'wx+' : 'r+')
  try {
    writeSync(fd, dull ? Buffer.alloc(bytes, `${seed} again and again `) : noise(bytes, seed), 0, bytes, at)
    if (sync) fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
