import { expect, test } from 'vitest'
import type { LazyImage } from '../../contract/index.ts'
import { lazyTable } from './lazy-table.ts'

const served: LazyImage = {
  reference: 'registry.example/team/app:1',
  status: 'served',
  chunk_index_digest: `sha256:${'ab'.repeat(32)}`,
  profile: 'plain',
  bytes: 1.2e9,
  physical_bytes: 48e6,
  progress: {
    here_bytes: 48e6,
    here_percent: 4,
    complete: false,
    degraded: { since: '2026-04-21T13:36:15.123Z', reason: 'nobody answers' },
    heat: { cell_bytes: 65_536, here: [], read: [], ahead: [] },
    counts: {
      ...{ requests: 41, requested_bytes: 19e6, fetched_bytes: 47e6, host_bytes: 1e6, read_bytes: 30e6 },
      ...{ unread_bytes: 5e6, misses: 12, stall_ms: 2000, retries: 3, wrong_leaves: 0, damaged_leaves: 1 },
      unsaved_leaves: 0,
    },
  },
  sheds: ['web', 'twin'],
  clients: 2,
}
const broken: LazyImage = {
  ...{ status: 'broken', chunk_index_digest: `sha256:${'cd'.repeat(32)}`, physical_bytes: 0, sheds: [], clients: 0 },
}

const rows = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/))

test('images that are read in part are shown with what their readers waited for', () => {
  expect(rows(lazyTable([served, broken], { wide: false }))).toEqual([
    ['IMAGE', 'STATUS', 'PROFILE', 'SIZE', 'HERE', 'ON DISK', 'REQUESTS', 'MISSES', 'STALLED', 'SHEDS', 'USED'],
    [
      ...['registry.example/team/app:1', 'served, registry away', 'plain', '1.2 GB', '4 %', '48.0 MB'],
      ...['41', '12', '2s', 'web twin'],
    ],
    ['<none>@cdcdcdcdcdcd', 'broken', '0 B'],
  ])
})

test('and when there is room, with all that it took', () => {
  const [titles = [], row = []] = rows(
    lazyTable([{ ...served, last_used_at: new Date().toISOString() }], { wide: true }),
  )
  const shown = Object.fromEntries(titles.map((title, at) => [title, row[at]]))
  expect(shown).toMatchObject({
    ...{
      'ASKED FOR': '19.0 MB',
      FETCHED: '47.0 MB',
      'FROM HOST': '1.0 MB',
      READ: '30.0 MB',
      UNREAD: '5.0 MB',
      RETRIES: '3',
    },
    ...{ WRONG: '0', DAMAGED: '1', UNSAVED: '0', CLIENTS: '2', 'CHUNK INDEX': 'abababababab' },
  })
})
