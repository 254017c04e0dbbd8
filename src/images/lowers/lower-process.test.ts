import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildLayer, digestOf, noise } from '../../../test/support/image-builder.ts'
import { killScript, runScript, startScript } from '../../../test/support/node-script.ts'
import type { TarMember } from '../../../test/support/tar-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { ensureLower, findLower } from './ensure-lower.ts'
import { plainWhole } from './lower-kind.ts'
import { lowerUuid } from './lower-uuid.ts'
import { buildLowerHere, largeLayer, someManifest, storeLayers } from './lowers.testkit.ts'

const script = new URL('./build-lower.testkit.ts', import.meta.url)

/** Names in an order that is not theirs, all types, xattrs, links across layers, whiteouts. */
const layers: readonly TarMember[][] = [
  [
    { path: 'zeta', content: noise(9000, 'z') },
    { path: 'Ümlaut', content: 'u' },
    { path: 'alpha/x', content: noise(9000, 'z'), mtime: 1_700_000_000.5, xattrs: { 'user.b': '2', 'user.a': '1' } },
    { path: 'alpha/y', type: 'symlink', linkTarget: 'x' },
    { path: 'dev/null', type: 'char', major: 1, minor: 3, mode: 0o666 },
    { path: 'gone/f', content: noise(5000, 'gone') },
  ],
  [
    { path: '.wh.gone' },
    { path: 'beta', type: 'hardlink', linkTarget: 'zeta' },
    { path: 'alpha', type: 'directory', mode: 0o1777, uid: 70_000 },
  ],
  [{ path: 'new', content: noise(600, 'new'), mode: 0o4755 }],
]

describe('a lower is the same', () => {
  test('as it was when this test was written', async () => {
    await using dir = await temporaryDirectory()
    const stored = await storeLayers(
      dir.path,
      layers.map((members) => buildLayer(members)),
    )
    const { path } = await buildLowerHere(dir.path, stored, lowerUuid(plainWhole, someManifest))
    // Whoever changes the bytes of lowers on purpose raises writerVersion, and then writes the new digest here.
    expect(digestOf(await readFile(path))).toBe(
      'sha256:6a5a2ad377aa047289bef7839f5594906431d9e0bdab020d03a98ebf84da7204',
    )
  })

  test('whatever the compression, umask, time zone, locale and number of threads', async () => {
    const surroundings = [
      { compression: 'gzip', workers: '1', umask: '22', env: { TZ: 'UTC', LC_ALL: 'C' } },
      { compression: 'zstd', workers: '4', umask: '777', env: { TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.UTF-8' } },
      { compression: 'none', workers: '2', umask: '0', env: { TZ: 'America/St_Johns', LC_ALL: 'de_DE.UTF-8' } },
    ] as const
    const digests = await Promise.all(
      surroundings.map(async ({ compression, workers, umask, env }) => {
        await using dir = await temporaryDirectory()
        const stored = await storeLayers(
          dir.path,
          layers.map((members) => buildLayer(members, { compression })),
        )
        const json = join(dir.path, 'layers.json')
        await writeFile(json, JSON.stringify(stored))
        const { stdout } = await runScript(script, [join(dir.path, 'data'), json, workers, umask], env)
        return /^done (\w+)$/m.exec(stdout)?.[1]
      }),
    )
    expect(digests).toEqual([expect.stringMatching(/^\w{64}$/), digests[0], digests[0]])
  })
})

describe('kill -9', () => {
  for (const [when, line] of [
    ['while layers are unpacked', 'unpack'],
    ['when the first layer is in the cache', 'unpack'],
    ['before the lower is put together', 'lower 0'],
  ] as const) {
    test(`${when} leaves no lower, and the next attempt makes it`, async () => {
      await using dir = await temporaryDirectory()
      const stored = await storeLayers(dir.path, [largeLayer(), ...layers.map((members) => buildLayer(members))])
      const json = join(dir.path, 'layers.json')
      await writeFile(json, JSON.stringify(stored))
      const { path: fresh } = await buildLowerHere(dir.path, stored, lowerUuid(plainWhole, someManifest))
      const root = join(dir.path, 'data')

      await killAt(line, when.includes('first layer') ? 3 : 1, [root, json, '1'])

      const layout = dataLayout(root)
      expect(findLower(layout, someManifest)).toBeUndefined()
      expect(await readdir(layout.lowers('plain')).catch(() => [])).toEqual([])
      // Half made layers are in staging, where nobody takes them for whole ones.
      for (const name of await readdir(layout.layers).catch(() => []))
        expect(name).toMatch(/^[0-9a-f]{64}\.(data|index)$/)
      const { path } = await ensureLower({ layout, manifest: someManifest, layers: stored })
      expect(digestOf(await readFile(path))).toBe(digestOf(await readFile(fresh)))
    })
  }
})

/** Kills the script when it prints a line with this start for the nth time. */
async function killAt(line: string, nth: number, args: readonly string[]): Promise<void> {
  const child = await startScript(script, args)
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (text.split('\n').filter((printed) => printed.startsWith(line)).length >= nth) void killScript(child)
  })
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  expect(child.signalCode).toBe('SIGKILL')
  expect(text).not.toContain('done ')
}
