import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { type HostTerminal, openTerminal, terminalTools } from '../support/host-terminal.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const launcher = join(import.meta.dirname, '../../bin/cowshed')
const able = needs({
  tools: ['qemu-system-x86_64', 'mke2fs', ...terminalTools, ...busyboxImageTools, ...kernelTools],
})

/** The shell asks the terminal where its cursor is. */
const prompt = /# (\x1b\[6n)?$/

/** Somebody at a real terminal of this host, a program on a real terminal of the guest. */
describe.runIf(able)('on a terminal', () => {
  let cowshed: Cowshed
  let scratch: string

  beforeAll(async () => {
    cowshed = await openCowshed()
    scratch = await mkdtemp(join(tmpdir(), 'cowshed-terminal-'))
    await writeFile(join(scratch, 'mini.tar'), busyboxArchive())
    await cowshed.ok('image', 'load', join(scratch, 'mini.tar'))
    await cowshed.ok('create', 'box', '--image', 'mini:1')
  }, 600_000)
  afterAll(async () => {
    await cowshed[Symbol.asyncDispose]()
    await rm(scratch, { recursive: true, force: true })
  })

  /** Runs `cowshed …` on a terminal of 33 rows and 111 columns, whose settings it keeps from before and after. */
  async function onTerminal(...words: string[]): Promise<HostTerminal> {
    const command = [process.execPath, launcher, '--data', cowshed.layout.root, ...words].map(quoted).join(' ')
    const script = join(scratch, 'script')
    await writeFile(
      script,
      `stty rows 33 cols 111; stty -g > ${scratch}/before; ${command}; echo "[exit $?]"; stty -g > ${scratch}/after`,
    )
    return await openTerminal(`. ${script}`)
  }

  async function expectRestored(): Promise<void> {
    expect(await readFile(join(scratch, 'after'), 'utf8')).toBe(await readFile(join(scratch, 'before'), 'utf8'))
  }

  test('a program sees its size, hears of another, and its exit code comes back', async () => {
    const program = 'trap "stty size; exit 7" WINCH; echo at $(stty size); while :; do sleep 0.1; done'
    await using terminal = await onTerminal('exec', '-t', 'box', '--', 'sh', '-c', program)
    await terminal.shows('at 33 111')
    await terminal.resize(50, 132)
    await terminal.ended
    expect(terminal.screen).toMatch(/\n50 132\r\n\[exit 7\]/)
    await expectRestored()
  })

  test('Ctrl-C interrupts the program in the guest, not the command here', async () => {
    const program = 'trap "echo interrupted; exit 9" INT; echo ready; while :; do sleep 0.1; done'
    await using terminal = await onTerminal('exec', '-t', 'box', '--', 'sh', '-c', program)
    await terminal.shows('ready')
    terminal.type('\x03')
    await terminal.ended
    // The program may be quicker than the echo of what interrupted it.
    expect(terminal.screen).toMatch(/interrupted\r\n(\^C)?\[exit 9\]/)
    await expectRestored()
  })

  test('a shell is one: it has job control, lives through Ctrl-C, and ends with what it says', async () => {
    await using terminal = await onTerminal('shell', 'box')
    terminal.type('test -t 0 && echo "a terminal of $TERM at $(tty), $((6 * 7))"\r')
    await terminal.shows(/a terminal of xterm at \/dev\/pts\/\d+, 42/)
    // What says that it sleeps is the program that will: a Ctrl-C before the shell has made it the one in front would be the shell's own.
    terminal.type('sh -c \'echo asl""eep; exec sleep 1000\'\r')
    await terminal.shows('\nasleep')
    terminal.type('\x03')
    await terminal.shows(/\^C[\s\S]*# /)
    terminal.type('echo code $?, $-\r')
    await terminal.shows(/code 130, \w*m/)
    terminal.type('exit 3\r')
    await terminal.ended
    expect(terminal.screen).toContain('[exit 3]')
    await expectRestored()
  })

  test('Ctrl-D ends a shell', async () => {
    await using terminal = await onTerminal('shell', 'box')
    await terminal.shows(prompt)
    terminal.type('\x04')
    await terminal.ended
    expect(terminal.screen).toContain('[exit 0]')
  })

  test('a shed that is stopped meanwhile hangs up, and the terminal is as it was', async () => {
    // As a shell does: SIGTERM is nothing to it.
    const program = 'trap "" TERM; trap "echo hung up > /root/end; exit 5" HUP; echo ready; while :; do sleep 0.1; done'
    await using terminal = await onTerminal('exec', '-t', 'box', '--', 'sh', '-c', program)
    await terminal.shows('ready')
    await cowshed.ok('stop', 'box')
    await terminal.ended
    expect(terminal.screen).toMatch(/\[exit (5|125)\]/)
    await expectRestored()
    await cowshed.ok('start', 'box')
    expect(await cowshed.ok('exec', 'box', '--', 'cat', '/root/end')).toBe('hung up\n')
  })
})

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
