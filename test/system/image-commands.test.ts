import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestHex, parseDigest } from '../../src/base/index.ts'
import type { ImageDetail, ImageHistoryReply, LoadImageReply, VerifyImagesReply } from '../../src/contract/index.ts'
import { busyboxArchive } from '../support/busybox-image.ts'
import { type Cowshed, launcher, openCowshed, until } from '../support/cowshed.ts'
import { openTerminal, terminalTools } from '../support/host-terminal.ts'
import { type BuiltImage, buildImage, buildLayer, noise, ociArchive } from '../support/image-builder.ts'
import { needs } from '../support/needs.ts'

let cowshed: Cowshed
let scratch: string

beforeAll(async () => {
  cowshed = await openCowshed({ kernel: false })
  scratch = await mkdtemp(join(tmpdir(), 'cowshed-images-'))
}, 300_000)
afterAll(async () => {
  await cowshed[Symbol.asyncDispose]()
  await rm(scratch, { recursive: true, force: true })
})

async function load(image: BuiltImage, ref: string): Promise<void> {
  const path = join(scratch, `${ref.replace(/\W/g, '-')}.tar`)
  await writeFile(path, ociArchive([{ image, ref }]))
  await cowshed.ok('image', 'load', path)
}

/** Clears the screen, sets the title, moves up, colours with the one-byte CSI, turns text around, hides a tag. */
const hostile = '\x1b[2J\x1b]0;owned\x07\x1b[1A\x9b31m\u202eevil\u2066\u061c\u{e0041}\r\n\b\0end'
const layer = buildLayer([{ path: 'a', content: 'a' }])
const hostileImage = buildImage({
  layers: [layer],
  run: {
    Env: [`X=${hostile}`],
    Cmd: [hostile],
    Labels: { [`key${hostile}`]: hostile },
    User: hostile,
    WorkingDir: hostile,
    StopSignal: hostile,
    ExposedPorts: { [hostile]: {} },
    Volumes: { [hostile]: {} },
  },
  configExtra: {
    author: hostile,
    history: [
      { created_by: hostile, comment: hostile, author: hostile, created: hostile },
      { created_by: `ENV ${hostile}`, empty_layer: true },
    ],
  },
  manifestExtra: { annotations: { note: hostile } },
})

/** What acts on a terminal, but for line breaks. */
const acts = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u202a-\u202e\u2066-\u2069]|\udb40/

describe('what a hostile image says of itself', () => {
  beforeAll(() => load(hostileImage, 'hostile:1'))

  test.each([
    [['history', 'hostile:1']],
    [['history', 'hostile:1', '--no-trunc']],
    [['history', 'hostile:1', '--json']],
    [['inspect', 'hostile:1']],
    [['inspect', 'hostile:1', '--json']],
    [['ls']],
  ])('does nothing to a terminal: image %j', async (words) => {
    const { code, stdout, stderr } = await cowshed.run('image', ...words)
    expect([code, stderr]).toEqual([0, ''])
    const shown = Buffer.from(stdout, 'latin1').toString('utf8')
    expect(shown).not.toMatch(acts)
    if (words[0] !== 'ls') expect(shown).toContain('owned')
  })

  test('and is told to programs exactly', async () => {
    const { history } = await cowshed.json<ImageHistoryReply>('image', 'history', 'hostile:1')
    expect(history.map(({ created_by }) => created_by)).toEqual([`ENV ${hostile}`, hostile])
    const { config } = await cowshed.json<ImageDetail>('image', 'inspect', 'hostile:1')
    expect(config.labels).toEqual({ [`key${hostile}`]: hostile })
  })

  test('its documents are printed byte for byte', async () => {
    const raw = await cowshed.ok('image', 'inspect', 'hostile:1', '--raw')
    expect(Buffer.from(raw, 'latin1')).toEqual(hostileImage.blobs.get(hostileImage.root.digest))
    const config = await cowshed.ok('image', 'inspect', 'hostile:1', '--config')
    expect(Buffer.from(config, 'latin1')).toEqual(hostileImage.config)
  })

  test.runIf(needs({ tools: terminalTools }))('but on a terminal as JSON that says the same', async () => {
    const command = [
      process.execPath,
      launcher,
      '--data',
      cowshed.layout.root,
      'image',
      'inspect',
      'hostile:1',
      '--config',
    ]
    await using terminal = await openTerminal(`${command.join(' ')}; echo "[exit $?]"`)
    await terminal.shows('[exit 0]')
    const [shown = ''] = terminal.screen.replaceAll('\r\n', '\n').split('[exit')
    expect(shown).not.toMatch(acts)
    expect(JSON.parse(shown)).toEqual(JSON.parse(hostileImage.config.toString()))
  })
})

describe('image history', () => {
  test('has the columns of docker history, and the layers', async () => {
    const history = [
      {
        created: '2020-01-01T00:00:00Z',
        created_by: '/bin/sh -c #(nop) ADD file:0123456789abcdef0123456789abcdef in /\t',
      },
      {
        created: '2020-01-01T00:00:00Z',
        created_by: 'CMD ["sh"]',
        comment: 'buildkit.dockerfile.v0',
        empty_layer: true,
      },
    ]
    await load(buildImage({ layers: [layer], configExtra: { history } }), 'app:1')
    const lines = (await cowshed.ok('image', 'history', 'app:1')).split('\n')
    expect(lines[0]).toMatch(/^LAYER +DIGEST +CREATED +CREATED BY +SIZE +COMMENT$/)
    expect(lines[1]).toMatch(/^ +- +- +\d+d ago +CMD \["sh"\] +0 B +buildkit\.dockerfile\.v0$/)
    const digest = layer.digest.slice(7, 19)
    expect(lines[2]).toMatch(
      new RegExp(`^ +1 +${digest} +\\d+d ago +/bin/sh -c #\\(nop\\) ADD file:[0-9a-f]+\\S+ +\\d+ B$`),
    )
    expect(await cowshed.ok('image', 'history', 'app:1', '--no-trunc')).toContain(`${layer.digest}  `)
    expect(await cowshed.ok('image', 'history', 'app:1', '-q')).toBe(`${layer.digest}\n`)
  })

  test('says when the history and the layers do not fit', async () => {
    await load(
      buildImage({ layers: [layer], configExtra: { history: [{ created_by: 'A' }, { created_by: 'B' }] } }),
      'odd:1',
    )
    const { code, stderr } = await cowshed.run('image', 'history', 'odd:1')
    expect([code, stderr]).toEqual([0, expect.stringContaining('which made which cannot be told')])
  })
})

test('image verify finds a flipped bit in a layer, says how to mend it, and mends it', async () => {
  // Large enough for a thread of its own.
  const large = buildLayer([{ path: 'large', content: noise(9 << 20) }], { compression: 'none' })
  await load(buildImage({ layers: [large] }), 'large:1')
  expect(await cowshed.ok('image', 'verify', 'large:1')).toMatch(
    /^1 image, 3 blobs, 1 layer, 0 lowers, .* read: all intact$/m,
  )
  // In which profile it is unpacked is the filesystem's choice.
  const { layers } = cowshed.layout
  const name = (await readdir(layers)).find(
    (file) => file.startsWith(digestHex(parseDigest(large.diffId))) && file.endsWith('.data'),
  )
  const path = join(layers, name ?? '')
  await chmod(path, 0o644)
  await using file = await open(path, 'r+')
  await file.write(Buffer.from([1]), 0, 1, 5 << 20)
  const damaged = await cowshed.run('image', 'verify')
  expect(damaged.code).toBe(1)
  expect(damaged.stdout).toMatch(/^damaged: layer \w{12} of large:1$/m)
  expect(damaged.stdout).toMatch(/^ {2}what: +the content of large is damaged$/m)
  expect(damaged.stdout).toMatch(/^ {2}mend: +cowshed image verify --repair large:1$/m)
  const repaired = await cowshed.json<VerifyImagesReply>('image', 'verify', '--repair', 'large:1')
  expect(repaired.findings).toMatchObject([{ kind: 'layer', repaired: true }])
  expect(await cowshed.ok('image', 'verify', 'large:1')).toContain('all intact')
})

describe.runIf(needs({ root: true, tools: ['buildah', 'busybox'] }))('image build', () => {
  async function context(name: string, dockerfile: string): Promise<string> {
    const directory = join(scratch, name)
    await mkdir(directory, { recursive: true })
    await writeFile(join(directory, 'Dockerfile'), dockerfile)
    return directory
  }

  beforeAll(async () => {
    await writeFile(join(scratch, 'base.tar'), busyboxArchive('base:1'))
    await cowshed.ok('image', 'load', join(scratch, 'base.tar'))
  })

  test('shows what the builder prints, harmless, and makes the image', async () => {
    const directory = await context('app', 'FROM base:1\nRUN printf \'\\033[2Jcleared\\n\'\nCMD ["sh"]\n')
    const { code, stdout, stderr } = await cowshed.run('image', 'build', '-t', 'app:built', directory)
    expect([code, stdout], stderr).toEqual([0, expect.stringContaining('app:built')])
    expect(stderr).toMatch(/^STEP 2\/3: RUN .*$/m)
    expect(stderr).toMatch(/^\\x1b\[2Jcleared$/m)
    expect(stderr).not.toContain('\x1b')
    expect((await cowshed.json<ImageDetail>('image', 'inspect', 'app:built')).config.cmd).toEqual(['sh'])
  })

  test('a build that fails says why; what looks like an option of the builder is none', async () => {
    const directory = await context('broken', 'FROM base:1\nRUN echo no such luck >&2; false\n')
    const failed = await cowshed.run('image', 'build', directory)
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/error: buildah failed.*no such luck/)])
    for (const options of [['--target=--net=host'], ['--platform=--all'], ['-t', '--rm'], ['--build-arg', '--x=y']]) {
      expect((await cowshed.run('image', 'build', ...options, directory)).code, options.join(' ')).toBe(2)
    }
    expect(await cowshed.staging()).toEqual([])
  })

  test('an archive that was built elsewhere is taken in under a name', async () => {
    const archive = join(scratch, 'elsewhere.tar')
    await cowshed.ok('image', 'save', 'base:1', '-o', archive)
    const reply = await cowshed.json<LoadImageReply>(
      'image',
      'build',
      '--from-oci-archive',
      archive,
      '-t',
      'elsewhere:1',
    )
    expect(reply.images[0]?.tags).toEqual(['base:1', 'elsewhere:1'])
  })

  test('a daemon that is killed takes its build with it, and the next one tidies up', async () => {
    const directory = await context('slow', 'FROM base:1\nRUN echo at it; sleep 86399\n')
    const build = cowshed.start('image', 'build', directory)
    let printed = ''
    build.stderr?.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
    })
    await until(async () => /^at it$/m.test(printed), 'the step runs')
    await cowshed.killDaemon()
    await until(async () => !(await anyCommandLine('86399')), 'every process of the build is gone')
    expect(await readFile('/proc/mounts', 'utf8')).not.toContain(cowshed.layout.root)
    await cowshed.ok('image', 'ls')
    expect(await cowshed.staging()).toEqual([])
  })
})

async function anyCommandLine(text: string): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')))
  return lines.some((line) => line.includes(text))
}
