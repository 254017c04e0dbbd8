import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { firstLine, killScript, startScript } from '../../test/support/node-script.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import {
  bootId,
  isLocked,
  killProcess,
  lockFile,
  type ProcessIdentity,
  processCpuMs,
  processStartTime,
  runTool,
  spawnDetached,
} from './index.ts'

test('a process whose first thread has ended is there for as long as another thread is', async () => {
  const child = await startScript(new URL('./ended-thread.testkit.ts', import.meta.url), [])
  const pid = child.pid ?? 0
  const startTime = processStartTime(pid)
  expect(startTime).toBeDefined()
  expect(await firstLine(child)).toBe('ending')
  await expect.poll(() => readFile(`/proc/${pid}/stat`, 'latin1')).toContain(') Z ')
  expect(processStartTime(pid)).toBe(startTime)
  await killScript(child)
  expect(processStartTime(pid)).toBeUndefined()
})

describe('a detached child', () => {
  test('lives on with the lock it inherited when its parent is killed', async () => {
    await using dir = await temporaryDirectory()
    const [lockPath, logPath] = [join(dir.path, 'vmm.lock'), join(dir.path, 'vmm.log')]
    const parent = await startScript(new URL('./lock-holder.testkit.ts', import.meta.url), [lockPath, logPath])
    const child = JSON.parse(await firstLine(parent)) as ProcessIdentity
    try {
      // The parent has closed its own descriptor by now.
      expect(await isLocked(lockPath)).toBe(true)
      await killScript(parent)
      expect(processStartTime(child.pid)).toBe(child.startTime)
      expect(await isLocked(lockPath)).toBe(true)
      expect(await lockFile(lockPath, { mode: 'exclusive' })).toBeUndefined()
      await expect.poll(() => readFile(logPath, 'utf8')).toBe(`started with ${lockPath} hello\n`)
    } finally {
      expect(killProcess(child, 'SIGKILL')).toBe(true)
    }
    using lock = await lockFile(lockPath, { mode: 'exclusive', wait: true })
    expect(lock.fd).toBeGreaterThan(2)
    expect(processStartTime(child.pid)).toBeUndefined()
  })

  test('tells how it ended, and appends to its log', async () => {
    await using dir = await temporaryDirectory()
    const logPath = join(dir.path, 'log')
    await writeFile(logPath, 'before\n')
    const run = (script: string) => spawnDetached({ command: 'sh', args: ['-c', script], logPath, inherit: [] })
    expect(await (await run('echo out; echo err >&2; exit 7')).exited).toEqual({ code: 7 })
    expect(await readFile(logPath, 'utf8')).toBe('before\nout\nerr\n')
    const sleeper = await run('exec sleep 60')
    expect(killProcess(sleeper, 'SIGTERM')).toBe(true)
    expect(await sleeper.exited).toEqual({ signal: 'SIGTERM' })
    expect(killProcess(sleeper, 'SIGTERM')).toBe(false)
  })

  test('goes on writing after the end when its log is cut short in place', async () => {
    await using dir = await temporaryDirectory()
    const logPath = join(dir.path, 'log')
    const go = join(dir.path, 'go')
    const script = `echo before; while [ ! -e ${go} ]; do sleep 0.02; done; echo after`
    const child = await spawnDetached({ command: 'sh', args: ['-c', script], logPath, inherit: [] })
    await expect.poll(() => readFile(logPath, 'utf8')).toBe('before\n')
    await truncate(logPath, 0)
    await writeFile(go, '')
    await child.exited
    expect(await readFile(logPath, 'utf8')).toBe('after\n')
  })

  test('has a CPU time that grows while it works, and none once it is gone', async () => {
    await using dir = await temporaryDirectory()
    const logPath = join(dir.path, 'log')
    const child = await spawnDetached({ command: 'sh', args: ['-c', 'while :; do :; done'], logPath, inherit: [] })
    await expect.poll(() => processCpuMs(child)).toBeGreaterThanOrEqual(50)
    expect(processCpuMs({ ...child, startTime: '1' })).toBeUndefined()
    killProcess(child, 'SIGKILL')
    await child.exited
    expect(processCpuMs(child)).toBeUndefined()
  })

  test('has a session of its own', async () => {
    await using dir = await temporaryDirectory()
    const child = await spawnDetached({ command: 'sleep', args: ['60'], logPath: join(dir.path, 'log'), inherit: [] })
    try {
      // Fields 5 and 6: process group and session.
      const fields = (await readFile(`/proc/${child.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')
      expect(fields?.slice(2, 4)).toEqual([`${child.pid}`, `${child.pid}`])
    } finally {
      killProcess(child, 'SIGKILL')
      await child.exited
    }
  })

  test('that is not installed is a problem with a hint', async () => {
    await using dir = await temporaryDirectory()
    const attempt = spawnDetached({
      command: 'qemu-system-x86_64-absent',
      args: [],
      logPath: join(dir.path, 'log'),
      inherit: [],
    })
    await expect(attempt).rejects.toMatchObject({
      code: 'TOOL_NOT_FOUND',
      hint: expect.stringMatching(/^run: apt install /),
    })
  })
})

describe('killProcess', () => {
  test('never signals another process that has the pid', async () => {
    await using dir = await temporaryDirectory()
    const child = await spawnDetached({ command: 'sleep', args: ['60'], logPath: join(dir.path, 'log'), inherit: [] })
    expect(killProcess({ pid: child.pid, startTime: '1' }, 'SIGKILL')).toBe(false)
    expect(processStartTime(child.pid)).toBe(child.startTime)
    expect(killProcess(child, 'SIGKILL')).toBe(true)
    expect(await child.exited).toEqual({ signal: 'SIGKILL' })
  })

  test('refuses pids that mean a group or init', () => {
    for (const pid of [-1, 0, 1, 1.5, Number.NaN]) {
      expect(() => killProcess({ pid, startTime: '1' }, 'SIGKILL')).toThrow(
        expect.objectContaining({ code: 'RECORD_INVALID' }),
      )
    }
    expect(killProcess({ pid: 2 ** 22 + 1, startTime: '1' }, 'SIGKILL')).toBe(false)
  })

  test('the boot id and our own start time stay', () => {
    expect(bootId()).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(processStartTime(process.pid)).toBe(processStartTime(process.pid))
  })
})

describe('runTool', () => {
  test('passes input, environment and directory, and gives back both outputs', async () => {
    await using dir = await temporaryDirectory()
    const { stdout, stderr, code } = await runTool('sh', ['-c', 'cat; pwd; echo $X >&2'], {
      input: 'in\n',
      cwd: dir.path,
      env: { X: 'é' },
    })
    expect([stdout.toString(), stderr.toString(), code]).toEqual([`in\n${dir.path}\n`, 'é\n', 0])
  })

  test('finds what lives in /usr/sbin whatever PATH says', async () => {
    expect((await runTool('mke2fs', ['-V'], { env: { PATH: '/nowhere' } })).stderr.toString()).toContain('mke2fs')
  })

  test('a failure quotes the end of what the tool said, made safe for a terminal', async () => {
    const attempt = runTool('sh', ['-c', 'seq 1000 >&2; printf "bad \\033[31mthing\\n" >&2; exit 3'])
    await expect(attempt).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringMatching(/exit code 3: .*1000 \| bad \\x1b\[31mthing$/),
      data: { command: 'sh', code: 3 },
    })
    expect((await runTool('sh', ['-c', 'exit 3'], { okCodes: [0, 3] })).code).toBe(3)
    await expect(runTool('sh', ['-c', 'kill -9 $$'])).rejects.toMatchObject({ data: { signal: 'SIGKILL' } })
  })

  test('a tool that says that the disk is full has no space', async () => {
    await expect(runTool('sh', ['-c', 'echo "x: $LC_ALL: No space left on device" >&2; exit 1'])).rejects.toMatchObject(
      {
        code: 'NO_SPACE',
        message: expect.stringContaining('C.UTF-8'),
      },
    )
  })

  test('an endless tool is stopped with its children, by time, by output and on request', async () => {
    const started = Date.now()
    await expect(runTool('sh', ['-c', 'sleep 50 & sleep 50'], { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'TOOL_FAILED',
    })
    await expect(runTool('sh', ['-c', 'yes | cat'], { maxOutputBytes: 1000 })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    })
    const signal = AbortSignal.timeout(50)
    await expect(runTool('sleep', ['50'], { signal })).rejects.toMatchObject({ code: 'CANCELLED' })
    await expect(runTool('sleep', ['50'], { signal })).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(Date.now() - started).toBeLessThan(40_000)
  })

  test('a tool that does not read its input is judged by its exit code', async () => {
    expect((await runTool('true', [], { input: Buffer.alloc(4 << 20) })).code).toBe(0)
  })

  test('what is not there is named with its package', async () => {
    await expect(runTool('mkfs.absent', [])).rejects.toMatchObject({ code: 'TOOL_NOT_FOUND' })
    await expect(runTool('/nowhere/mke2fs', [])).rejects.toMatchObject({ hint: 'run: apt install e2fsprogs' })
    await expect(runTool('true', [], { cwd: '/nowhere' })).rejects.toMatchObject({
      message: expect.stringContaining('no directory /nowhere'),
    })
  })
})
