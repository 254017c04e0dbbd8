import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { pathOf } from './client/api-client.ts'
import { readServerEvents } from './client/server-events.ts'
import { closest } from './closest.ts'
import { parsePorts } from './commands/forward.ts'
import { parseEndpoint } from './copy/parse-endpoint.ts'
import { displayWidth, truncate } from './terminal/display-width.ts'
import { relativeTime } from './terminal/relative-time.ts'
import { details, table } from './terminal/table.ts'

test('the nearest name is guessed, a far one is not', () => {
  expect(closest('wbe', ['web', 'db'])).toBe('web')
  expect(closest('databsae', ['web', 'database'])).toBe('database')
  expect(closest('x', ['web', 'db'])).toBeUndefined()
  expect(closest('web', [])).toBeUndefined()
})

test('times are told in their largest unit', () => {
  const now = Date.parse('2026-01-10T12:00:00Z')
  const ago = (ms: number) => relativeTime(new Date(now - ms).toISOString(), now)
  expect([ago(3000), ago(45_000), ago(3 * 3600e3), ago(50 * 3600e3), ago(-5000)]).toEqual([
    'just now',
    '45s ago',
    '3h ago',
    '2d ago',
    'just now',
  ])
  expect(relativeTime(new Date(0).toISOString())).toBe('-')
})

describe('tables', () => {
  test('numbers stand on the right, the last column has no tail', () => {
    const rows = [
      ['a', '1', 'x'],
      ['long name', '12345', ''],
    ]
    const columns = [
      { title: 'NAME', cell: (row: string[]) => row[0] ?? '' },
      { title: 'N', align: 'right' as const, cell: (row: string[]) => row[1] ?? '' },
      { title: 'LAST', cell: (row: string[]) => row[2] ?? '' },
    ]
    expect(table(columns, rows)).toBe('NAME           N  LAST\na              1  x\nlong name  12345\n')
  })

  test('paths lose their middles on a terminal that is too narrow, numbers and names never', () => {
    const columns = [
      { title: 'NAME', cell: () => 'a name that is long' },
      { title: 'PATH', cell: (path: string) => path, shrinks: true as const },
      { title: 'N', align: 'right' as const, cell: () => '12345' },
    ]
    const paths = [
      '/var/lib/cowshed/cache/erofs-v2/layers/b951e2cd32a2f7f0a45c.data',
      '/var/lib/日本語日本語日本語日本語',
    ]
    expect(table(columns, paths, 50)).toBe(
      [
        'NAME                 PATH                        N',
        'a name that is long  /var/lib/c…f0a45c.data  12345',
        'a name that is long  /var/lib/日…本語日本語  12345',
        '',
      ].join('\n'),
    )
    expect(table(columns, paths, 10)).toContain('a name that is long  /var/li…45c.data  12345\n')
    expect(table(columns, paths)).toContain(`  ${paths[0]}  12345\n`)
  })

  test('wide characters take two columns', () => {
    expect(displayWidth('日本e\u0301')).toBe(5)
    expect(truncate('日本語', 4)).toBe('日…')
    expect(
      table(
        [
          { title: 'A', cell: (row: string) => row },
          { title: 'B', cell: () => 'x' },
        ],
        ['日本', 'ab'],
      ),
    ).toBe('A     B\n日本  x\nab    x\n')
  })

  test('details leave out what is not there', () => {
    expect(
      details([
        ['name', 'web'],
        ['pid', undefined],
        ['status', 'running'],
      ]),
    ).toBe('name:    web\nstatus:  running\n')
  })
})

test('ports are GUEST or GUEST:HOST', () => {
  expect(parsePorts('80')).toEqual({ guest_port: 80, host_port: 0 })
  expect(parsePorts('80:8080')).toEqual({ guest_port: 80, host_port: 8080 })
  for (const wrong of ['', '0', '80:', ':80', '80:70000', '1:2:3', '-1'])
    expect(() => parsePorts(wrong), wrong).toThrow()
})

test('SHED:/path is in a shed, everything else here', () => {
  expect(parseEndpoint('web:/etc')).toEqual({ shed: 'web', path: '/etc' })
  expect(parseEndpoint('./web:/etc')).toEqual({ shed: undefined, path: './web:/etc' })
  expect(parseEndpoint('/a:b')).toEqual({ shed: undefined, path: '/a:b' })
  expect(parseEndpoint(':x')).toEqual({ shed: undefined, path: ':x' })
})

test('paths and queries are encoded', () => {
  expect(pathOf('readGuestFile', { name: 'web' }, { path: '/a b&c=d' })).toBe(
    '/api/sheds/web/files?path=%2Fa+b%26c%3Dd',
  )
  expect(pathOf('prune', {}, { scope: ['images', 'logs'], until: undefined })).toBe(
    '/api/system/prune?scope=images&scope=logs',
  )
})

test('server-sent events are read whatever pieces they come in', async () => {
  const text = ': hello\n\nid: 1\nevent: progress\ndata: {"phase":"größe"}\n\ndata: a\ndata: b\r\n\r\nevent: lost'
  const bytes = Buffer.from(text)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 12 }), async (cuts) => {
      const edges = [0, ...new Set(cuts.sort((a, b) => a - b)), bytes.length]
      async function* pieces() {
        for (const [at, edge] of edges.slice(0, -1).entries()) yield bytes.subarray(edge, edges[at + 1])
      }
      const events: unknown[] = []
      for await (const event of readServerEvents(pieces())) events.push(event)
      expect(events).toEqual([
        { event: 'progress', data: '{"phase":"größe"}' },
        { event: 'message', data: 'a\nb' },
      ])
    }),
    { numRuns: 50 },
  )
})
