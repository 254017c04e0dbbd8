import { getPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import { expect, test } from 'vitest'
import { needs } from '../../test/support/needs.ts'
import { runScript } from '../../test/support/node-script.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { runInWorker, runTool } from './index.ts'

const module = new URL('./worker-job.testkit.ts', import.meta.url)
const run = (input: unknown, more: { onMessage?: (message: unknown) => void; signal?: AbortSignal } = {}) =>
  runInWorker({ name: 'test-job', module, input, ...more })

test('input goes in, messages come in order, the result comes out', async () => {
  const messages: unknown[] = []
  const result = await run(
    { do: 'echo', deep: [1n, new Map([['a', 1]])] },
    { onMessage: (message) => messages.push(message) },
  )
  expect(result).toEqual({ echo: { do: 'echo', deep: [1n, new Map([['a', 1]])] }, bytes: new Uint8Array([1, 2, 3]) })
  expect(messages).toEqual([{ step: 1 }, { step: 2 }])
})

test('a Problem crosses with all that it says', async () => {
  await expect(run({ do: 'problem' })).rejects.toMatchObject({
    name: 'Problem',
    code: 'TAR_INVALID',
    message: 'a bad entry',
    hint: 'pull it again',
    data: { entry: 3 },
    status: 400,
    cause: expect.objectContaining({ message: expect.stringContaining('why') }),
  })
})

test('a job that wants more memory than it may have ends, and nothing else does', async () => {
  const hoarding = runInWorker({ name: 'test-job', module, input: { do: 'hoard' }, maxHeapBytes: 64 << 20 })
  await expect(hoarding).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining('test-job') })
})

test('whatever else goes wrong is INTERNAL with its cause', async () => {
  const internal = (why: string) => ({
    code: 'INTERNAL',
    cause: expect.objectContaining({ message: expect.stringContaining(why) }),
  })
  await expect(run({ do: 'error' })).rejects.toMatchObject(internal('TypeError: a defect'))
  await expect(run({ do: 'uncaught' })).rejects.toMatchObject(internal('out of the blue'))
  await expect(run({ do: 'exit' })).rejects.toMatchObject(internal('code 3'))
  await expect(run({ do: 'unclonable' })).rejects.toMatchObject(internal('could not be cloned'))
  await expect(
    runInWorker({ name: 'absent', module: new URL('./absent.ts', import.meta.url), input: 0 }),
  ).rejects.toMatchObject(internal('absent.js'))
})

test('an error of the listener ends the job', async () => {
  const onMessage = () => {
    throw new Error('the listener is broken')
  }
  await expect(run({ do: 'forever' }, { onMessage })).rejects.toThrow('the listener is broken')
})

test('a signal ends even a job that never yields', async () => {
  const abort = new AbortController()
  const running = run({ do: 'forever' }, { signal: abort.signal, onMessage: () => abort.abort() })
  await expect(running).rejects.toMatchObject({ code: 'CANCELLED' })
  await expect(run({ do: 'echo' }, { signal: abort.signal })).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('a thread that is kept does the next job of its module, unless its last one failed, and is gone in the end', async () => {
  const kept = (input: unknown, keepMs = 60_000) => runInWorker({ name: 'kept-job', module, input, keepMs })
  const who = { do: 'say who' }
  const first = await kept(who)
  expect(await kept({ do: 'echo' })).toMatchObject({ echo: { do: 'echo' } })
  expect(await kept(who)).toBe(first)
  // Two at once are two threads.
  const both = await Promise.all([kept(who), kept(who)])
  expect(both).toContain(first)
  expect(new Set(both).size).toBe(2)
  for (const _ of both) await expect(kept({ do: 'problem' })).rejects.toMatchObject({ code: 'TAR_INVALID' })
  const later = await kept(who, 1)
  expect(both).not.toContain(later)
  await sleep(50)
  expect(await kept(who, 1)).not.toBe(later)
})

test.runIf(process.platform === 'linux')('a thread that gives way does so alone', async () => {
  const before = getPriority()
  expect(await run({ do: 'give way' })).toBe(before + 5)
  expect(getPriority()).toBe(before)
})

test.runIf(needs({ tools: ['zstd'] }))('a job may be ended while libzstd is at work for it', async () => {
  const stream = (await runTool('zstd', ['-c'], { input: Buffer.alloc(16 << 20, 'content') })).stdout
  for (let i = 0; i < 5; i++) {
    const abort = new AbortController()
    const running = run(
      { do: 'decompress', stream },
      { signal: abort.signal, onMessage: () => void sleep(10 + i * 7).then(() => abort.abort()) },
    )
    await expect(running).rejects.toMatchObject({ code: 'CANCELLED' })
  }
})

test('from source it runs wherever the program was started, and from a bundle as a file beside it', async () => {
  const caller = new URL('./worker-caller.testkit.ts', import.meta.url)
  expect((await runScript(caller, [])).stdout).toContain('"echo":{"do":"echo"}')

  await using dir = await temporaryDirectory()
  await build({
    entryPoints: { main: caller.pathname, 'test-job': module.pathname },
    outdir: dir.path,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'silent',
  })
  const { stdout } = await runTool(process.execPath, [join(dir.path, 'main.js')], { cwd: dir.path })
  expect(stdout.toString()).toContain('"echo":{"do":"echo"}')
})
