import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, describe, expect, test } from 'vitest'
import { dataLayout } from '../base/index.ts'
import { openRooms } from './main.ts'
import { makeRunDirectory, runDirectoryPath } from './run-directory.ts'
import { startDaemon } from './start-daemon.ts'

const parent = mkdtempSync(join(tmpdir(), 'cowshed-daemon-'))
afterAll(() => rmSync(parent, { recursive: true }))

let count = 0
const options = (dataDirectory = join(parent, `d${count++}`)) => ({
  dataDirectory,
  agentPath: '/nonexistent',
  launcher: '/nonexistent',
  log: pino({ level: 'silent' }),
  openRooms,
})

function get(socketPath: string, path: string): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

describe('a daemon with all its rooms', () => {
  test('answers every route that only looks, on an empty data directory', async () => {
    const daemon = await startDaemon(options())
    try {
      const { root, socket } = daemon.layout
      expect((await get(socket, '/api/info')).body).toMatchObject({
        data_directory: root,
        backend: 'qemu',
        pid: process.pid,
      })
      expect((await get(socket, '/api/sheds')).body).toEqual({ sheds: [] })
      expect((await get(socket, '/api/images')).body).toEqual({ images: [] })
      expect((await get(socket, '/api/events')).body).toEqual({ events: [] })
      expect((await get(socket, '/api/system/df')).body).toMatchObject({ images: [], sheds: [], orphans: [] })
      expect((await get(socket, '/api/openapi.json')).body).toMatchObject({ openapi: '3.1.0' })
      expect((await get(socket, '/api/sheds/web')).body).toMatchObject({ error: { code: 'SHED_NOT_FOUND' } })
      const { checks } = (await get(socket, '/api/system/doctor')).body as {
        checks: { name: string; verdict: string }[]
      }
      expect(checks.find(({ name }) => name === 'guest kernel')?.verdict).toBe('failed')
      expect(checks.find(({ name }) => name === 'lock')?.verdict).toBe('ok')
      expect(checks.find(({ name }) => name === 'libzstd')?.verdict).toBe('ok')
    } finally {
      await daemon.close()
    }
  })

  test('has its data directory alone, says who has it, and gives it up', async () => {
    const first = await startDaemon(options())
    const { root, socket, lock } = first.layout
    await expect(startDaemon(options(root))).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_IN_USE',
      message: expect.stringContaining(`pid ${process.pid}`),
    })
    // The one that lost has taken nothing from the one that runs.
    expect((await get(socket, '/api/info')).status).toBe(200)
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    expect(statSync(root).mode & 0o777).toBe(0o700)
    expect(readFileSync(lock, 'utf8')).toBe(`${process.pid}\n`)
    await first.close()
    await first.close()
    expect(() => statSync(socket)).toThrow('ENOENT')
    expect(() => statSync(runDirectoryPath({ root }, { uid: process.geteuid?.() ?? 0, env: process.env }))).toThrow(
      'ENOENT',
    )
    const second = await startDaemon(options(root))
    await second.close()
  })

  test('replaces the socket of one that was killed, and sweeps what it left half made', async () => {
    const layout = dataLayout(join(parent, `d${count++}`))
    mkdirSync(join(layout.staging, 'load-x'), { recursive: true })
    writeFileSync(layout.socket, '')
    const daemon = await startDaemon(options(layout.root))
    expect((await get(layout.socket, '/api/info')).status).toBe(200)
    expect(() => statSync(join(layout.staging, 'load-x'))).toThrow('ENOENT')
    await daemon.close()
  })

  test('a path too long for a socket is refused before anything is made', async () => {
    const long = join(parent, 'x'.repeat(100))
    await expect(startDaemon(options(long))).rejects.toMatchObject({ code: 'PATH_TOO_LONG' })
    expect(() => statSync(long)).toThrow('ENOENT')
  })

  test('a data directory that cannot be one is refused', async () => {
    const file = join(parent, 'file')
    writeFileSync(file, '')
    await expect(startDaemon(options(join(file, 'd')))).rejects.toMatchObject({ code: 'DATA_DIRECTORY_INVALID' })
  })

  test('closing lets nobody wait for streams that never end', async () => {
    const daemon = await startDaemon(options())
    const streaming = new Promise<void>((resolve, reject) => {
      const sent = request(
        { socketPath: daemon.layout.socket, path: '/api/events', headers: { accept: 'text/event-stream' } },
        (response) => {
          response.on('end', resolve).on('error', reject).resume()
          void daemon.close()
        },
      )
      sent.on('error', reject)
      sent.end()
    })
    await streaming
  })
})

describe('the run directory', () => {
  const layout = { root: '/srv/a very long path/that nobody would want/in front of a socket/cowshed' }

  test('is short, and each data directory has its own', () => {
    const root = runDirectoryPath(layout, { uid: 0, env: {} })
    expect(root).toMatch(/^\/run\/cowshed\/[0-9a-f]{10}$/)
    expect(runDirectoryPath({ root: '/srv/b' }, { uid: 0, env: {} })).not.toBe(root)
    expect(runDirectoryPath(layout, { uid: 7, env: { XDG_RUNTIME_DIR: '/run/user/7' } })).toMatch(
      /^\/run\/user\/7\/cowshed\//,
    )
    const tooLong = { XDG_RUNTIME_DIR: `/${'x'.repeat(80)}` }
    expect(runDirectoryPath(layout, { uid: 7, env: tooLong })).toMatch(/^\/tmp\/cowshed-7\//)
  })

  test('is made private, and one that is somebody else’s is refused', async () => {
    const uid = process.geteuid?.() ?? 0
    const runtime = mkdtempSync(join(tmpdir(), 'csr-'))
    try {
      const other = uid === 0 ? 1 : uid
      const env = { XDG_RUNTIME_DIR: runtime }
      if (uid !== 0) expect(statSync(await makeRunDirectory(layout, { uid, env })).mode & 0o777).toBe(0o700)
      // Made by whoever runs this test, asked for by another user.
      else
        await expect(makeRunDirectory(layout, { uid: other, env })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
      rmSync(join(runtime, 'cowshed'), { recursive: true, force: true })
      symlinkSync('/tmp', join(runtime, 'cowshed'))
      await expect(makeRunDirectory(layout, { uid: other, env })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    } finally {
      rmSync(runtime, { recursive: true })
    }
  })
})
