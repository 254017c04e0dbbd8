import { formatDuration, formatSize, printable } from '../../base/index.ts'
import type { LazyProgress } from '../../contract/index.ts'
import { paint } from '../terminal/paint.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { heatStrips } from './heat-strip.ts'

/** How much of an image is here, in a word or two: `34 % here, registry away`. */
export function shareHere(progress: LazyProgress): string {
  return [`${progress.here_percent} % here`, ...troublesOf(progress)].join(', ')
}

/** What is wrong with it, or may be, each in a word or two. */
export function troublesOf({ degraded, unverified, wrong }: LazyProgress): string[] {
  return [
    ...(unverified === true ? ['unverified'] : []),
    ...(wrong === undefined ? [] : ['wrong']),
    ...(degraded === undefined ? [] : ['registry away']),
  ]
}

/** What is to be said of an image that is read before it is here: names and values. */
export function describeLazy(progress: LazyProgress, terminal: Terminal): [name: string, value: string | undefined][] {
  const { here_bytes, here_percent, complete, degraded, unverified, wrong, counts, heat } = progress
  return [
    ['here', `${formatSize(here_bytes)}, ${here_percent} %${complete ? ', all of it verified' : ''}`],
    ['verified', unverified && 'nothing: it has no chunk index, and all of it is held against its digest in the end'],
    ['wrong', wrong && `since ${wrong.since} (${relativeTime(wrong.since)}): ${printable(wrong.reason)}`],
    ['fetched', fetched(counts)],
    ['waited', `${counts.misses} reads, ${formatDuration(counts.stall_ms)} in all`],
    ['trouble', trouble(counts)],
    [
      'registry',
      degraded &&
        `gives nothing since ${degraded.since} (${relativeTime(degraded.since)}): ${printable(degraded.reason)}`,
    ],
    ...heatStrips(heat, terminal, paint(terminal)),
  ]
}

function fetched({ requests, fetched_bytes, host_bytes, unread_bytes }: LazyProgress['counts']): string {
  const parts = [
    `${formatSize(fetched_bytes)} in ${requests} requests`,
    host_bytes === 0 ? undefined : `${formatSize(host_bytes)} from this host`,
    unread_bytes === 0 ? undefined : `${formatSize(unread_bytes)} of it not read so far`,
  ]
  return parts.filter((part) => part !== undefined).join(', ')
}

/** Undefined when there was none. */
function trouble({
  retries,
  wrong_leaves,
  damaged_leaves,
  unsaved_leaves,
}: LazyProgress['counts']): string | undefined {
  const parts = [
    [retries, 'requests made again'],
    [wrong_leaves, 'leaves came wrong'],
    [damaged_leaves, 'leaves were damaged here'],
    [unsaved_leaves, 'leaves could not be kept'],
  ] as const
  const said = parts.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]))
  return said.length === 0 ? undefined : said.join(', ')
}
