import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Problem } from '../../base/index.ts'
import { bootFailureSince } from './boot-failure.ts'
import { consoleSaysPowerDown } from './console-end.ts'

const dir = mkdtempSync(join(tmpdir(), 'cowshed-console-'))
afterAll(() => rmSync(dir, { recursive: true }))
const died = new Problem('BOOT_FAILED', 'the VM ended while it was booting: powered down')

test('a boot failure is told in the words of the guest, and its console is quoted', async () => {
  const consolePath = join(dir, 'numbered')
  writeFileSync(consolePath, 'an earlier boot: cowshed: boot failure 9: old news\n')
  const from = Buffer.byteLength('an earlier boot: cowshed: boot failure 9: old news\n')
  appendFileSync(
    consolePath,
    'Linux\r\ncowshed: boot failure 3: cannot mount the lower\r\n\u001b[31mreboot: Power down\n',
  )
  const problem = await bootFailureSince(died, { name: 'web', consolePath, from })
  expect(problem.code).toBe('BOOT_FAILED')
  expect(problem.message).toBe('the shed web did not boot: boot failure 3: cannot mount the lower')
  expect(problem.hint).toContain('  | \\x1b[31mreboot: Power down')
  expect(problem.hint).not.toContain('old news')
})

test('a guest that printed nothing is told with what the host saw', async () => {
  const problem = await bootFailureSince(died, { name: 'web', consolePath: join(dir, 'absent'), from: 0 })
  expect(problem.message).toContain('the VM ended while it was booting')
  expect(problem.hint).toContain('cowshed doctor')
})

test('a problem that is not about the boot passes through', async () => {
  const full = new Problem('NO_SPACE', 'full')
  expect(await bootFailureSince(full, { name: 'web', consolePath: '', from: 0 })).toBe(full)
})

test.each([
  ['[    5.1] reboot: Power down\r\n', true],
  ['[    5.1] reboot: System halted\n', true],
  ['[    5.1] reboot: Restarting system\n', true],
  ['reboot: Power down\nlogin: ', false],
  ['', false],
])('a console that ends with %j: powered down %s', async (text, expected) => {
  const path = join(dir, 'end')
  writeFileSync(path, `${'x'.repeat(1000)}\n${text}`)
  expect(await consoleSaysPowerDown(path)).toBe(expected)
  expect(await consoleSaysPowerDown(join(dir, 'no such console'))).toBe(false)
})
