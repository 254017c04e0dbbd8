import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { busyboxArchive } from '../../../test/support/busybox-image.ts'
import { needs } from '../../../test/support/needs.ts'
import { makeImages, streamOf } from '../images.testkit.ts'

type Store = Awaited<ReturnType<typeof makeImages>>

/** Writes a context. @returns its path */
async function context(store: Store, files: Record<string, string>, name = 'ctx'): Promise<string> {
  const directory = store.path(name)
  await mkdir(directory, { recursive: true })
  for (const [path, content] of Object.entries(files)) await writeFile(join(directory, path), content)
  return directory
}

const settings = { buildArgs: {}, noCache: false }

describe('what cannot be built is refused before anything is begun', () => {
  test.each([
    [{ tag: '--privileged' }, 'INVALID_REQUEST'],
    [{ tag: 'UPPER' }, 'INVALID_REQUEST'],
    [{ target: '--net=host' }, 'INVALID_REQUEST'],
    [{ platform: '--all' }, 'INVALID_REQUEST'],
    [{ buildArgs: { '--x': '' } }, 'INVALID_REQUEST'],
    [{ buildArgs: { X: '\0' } }, 'INVALID_REQUEST'],
    [{ dockerfile: '/dev/zero' }, 'INVALID_REQUEST'],
    [{ dockerfile: '/nonexistent' }, 'FILE_NOT_FOUND'],
    [{ context: '/nonexistent' }, 'FILE_NOT_FOUND'],
    [{ context: '/etc/passwd' }, 'INVALID_REQUEST'],
    [{ context: '/' }, 'INVALID_REQUEST'],
  ])('%j', async (changes, code) => {
    await using store = await makeImages()
    const directory = await context(store, { Dockerfile: 'FROM scratch' })
    const request = { ...settings, context: directory, ...changes }
    await expect(store.images.build(request)).rejects.toMatchObject({ code })
  })

  test('a directory without a Dockerfile', async () => {
    await using store = await makeImages()
    const building = store.images.build({ ...settings, context: await context(store, {}) })
    await expect(building).rejects.toMatchObject({ code: 'FILE_NOT_FOUND', hint: 'say where it is: -f FILE' })
  })
})

describe.runIf(needs({ root: true, tools: ['buildah', 'busybox'] }))('with buildah', () => {
  async function storeWithBase(): Promise<Store> {
    const store = await makeImages()
    await store.images.load({ source: { stream: streamOf(busyboxArchive('base:1')) } })
    return store
  }

  test('an image of the store is the base, without a registry; its layers stay what they are', async () => {
    await using store = await storeWithBase()
    const directory = await context(store, {
      Dockerfile:
        'ARG V=0\nFROM base:$V\nARG WHO\nRUN echo "hello $WHO" > /hello && rm -r /srv\nENV X=1\nCOPY added /added\n',
      added: 'added\n',
    })
    const lines: string[] = []
    const onProgress = ({ message }: { message?: string }) => void (message && lines.push(message))
    const [image] = await store.images.build({
      ...settings,
      context: directory,
      buildArgs: { V: '1', WHO: 'cow' },
      onProgress,
    })
    expect(image?.tags).toEqual(['ctx:latest'])
    expect(lines).toEqual(expect.arrayContaining([expect.stringMatching(/^STEP 2\/\d: ARG WHO|^STEP \d\/\d: RUN/)]))
    const [base, built] = [await store.images.inspect('base:1'), await store.images.inspect('ctx')]
    expect(built.layer_list.slice(0, 3).map(({ digest }) => digest)).toEqual(
      base.layer_list.map(({ digest }) => digest),
    )
    expect(built.layer_list).toHaveLength(5)
    expect(built.config.env).toEqual(['PATH=/bin', 'FROM_IMAGE=yes', 'X=1'])
    const { history, problem } = await store.images.history('ctx')
    expect([problem, history.filter(({ layer }) => layer !== undefined).length]).toEqual([undefined, 5])
    // The lower can be made: every layer's files are what the new image says.
    expect((await store.images.ensureLower((await store.images.resolve('ctx')).manifestDigest)).outcome).toBe('built')
  })

  test('two builds at different times are one image when they say when it is', async () => {
    await using store = await storeWithBase()
    const dockerfile =
      'FROM base:1\nCOPY --chmod=644 data /data\nRUN date > /dev/null; mkdir -p /a/b; echo x > /a/b/c; ln -s c /a/b/d\nLABEL a=b\n'
    const digests: (string | undefined)[] = []
    for (const name of ['one', 'two']) {
      const directory = await context(store, { Dockerfile: dockerfile, data: 'data\n' }, name)
      const [image] = await store.images.build({
        ...settings,
        context: directory,
        tag: 'same:1',
        sourceDateEpoch: 1_700_000_000,
      })
      digests.push(image?.digest)
      // Files of another second.
      await new Promise((resolve) => setTimeout(resolve, 1100))
    }
    expect(digests[1]).toBe(digests[0])
    expect((await store.images.inspect('same:1')).created_at).toBe('2023-11-14T22:13:20.000Z')
  })

  test('a step that fails is told with what it said, and nothing stays', async () => {
    await using store = await storeWithBase()
    const directory = await context(store, { Dockerfile: 'FROM base:1\nRUN echo it went wrong >&2; exit 3\n' })
    const before = await store.images.list()
    const error = await store.images.build({ ...settings, context: directory }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'TOOL_FAILED', message: expect.stringContaining('it went wrong') })
    expect(await store.images.list()).toEqual(before)
    await expectNothingLeft(store)
  })

  test('a build that is cancelled ends every process and mount of it', async () => {
    await using store = await storeWithBase()
    const directory = await context(store, {
      Dockerfile: 'FROM base:1\nRUN (sleep 7654 &) ; echo sleeping; sleep 7654\n',
    })
    const cancelling = new AbortController()
    const onProgress = ({ message }: { message?: string }) => void (message === 'sleeping' && cancelling.abort())
    const building = store.images.build({ ...settings, context: directory, onProgress, signal: cancelling.signal })
    await expect(building).rejects.toMatchObject({ code: 'CANCELLED' })
    await expectNothingLeft(store)
  })
})

async function expectNothingLeft({ layout }: Store): Promise<void> {
  expect(await readdir(layout.staging)).toEqual([])
  expect(await readFile('/proc/mounts', 'utf8')).not.toContain(layout.root)
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')))
  expect(lines.filter((line) => line.includes(layout.root) || line.includes('7654'))).toEqual([])
}
