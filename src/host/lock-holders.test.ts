import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lockHolders } from './lock-holders.ts'

test('the process that inherited a lock file is found, and nobody once it is gone', async () => {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'cowshed-holders-')))
  const path = join(dir, 'lock')
  const fd = openSync(path, 'w')
  const child = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
  try {
    closeSync(fd)
    await once(child, 'spawn')
    expect(await lockHolders(path)).toEqual([child.pid])
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await lockHolders(path)).toEqual([])
  } finally {
    child.kill('SIGKILL')
    rmSync(dir, { recursive: true })
  }
})
