import type { LazyHeat } from '../../contract/index.ts'
import type { paint } from '../terminal/paint.ts'
import type { Terminal } from '../terminal/terminal.ts'

type Colours = Pick<ReturnType<typeof paint>, 'green' | 'yellow' | 'dim'>

/** From a little of a cell to all of it. */
const blocks = [...'▁▂▃▄▅▆▇█']
const digits = [...'1234567#']

/**
 * An image from its beginning to its end: which parts of it are here, were read, and were fetched and not read, each as a strip: the higher, the more of a cell.
 * Where the terminal has no such characters, digits say how many eighths of a cell at least, and # all of it.
 */
export function heatStrips(
  { here, read, ahead }: LazyHeat,
  terminal: Pick<Terminal, 'env'>,
  colours: Colours,
): [string, string][] {
  const signs = isUnicode(terminal) ? { levels: blocks, none: '·' } : { levels: digits, none: '.' }
  const strip = (cells: readonly number[]) => cells.map((percent) => signOf(percent, signs)).join('')
  return [
    ['map of here', colours.dim(strip(here))],
    ['map of read', colours.green(strip(read))],
    ['map of unread', colours.yellow(strip(ahead))],
  ]
}

interface Signs {
  readonly levels: readonly string[]
  readonly none: string
}

/** Nothing has a sign of its own, and so has all. */
function signOf(percent: number, { levels, none }: Signs): string {
  if (percent === 0) return none
  const last = levels.length - 1
  return (percent >= 100 ? levels[last] : levels[Math.min(last - 1, Math.floor((percent / 100) * last))]) ?? none
}

/** The first of these that is set says; a terminal of which nothing is said is taken for one of today's. @see locale(7) */
function isUnicode({ env }: Pick<Terminal, 'env'>): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || ''
  return locale === '' || /utf-?8/i.test(locale)
}
