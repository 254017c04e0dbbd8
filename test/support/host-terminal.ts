import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { until } from './cowshed.ts'

const run = promisify(execFile)

/** What openTerminal needs, for `needs({tools})`: both belong to every Debian. */
export const terminalTools = ['script', 'stty']

/** A pseudo terminal of this host, with somebody at its keyboard. */
export interface HostTerminal extends AsyncDisposable {
  /** Everything that was printed on it so far. */
  readonly screen: string
  type(keys: string): void
  resize(rows: number, cols: number): Promise<void>
  /** Waits until something is on the screen. */
  shows(text: string | RegExp): Promise<void>
  /** Settles when the program that it was opened for has ended. */
  readonly ended: Promise<void>
}

/** Runs a shell script on a terminal of its own: script(1) makes it, stty(1) changes its size. */
export async function openTerminal(shellScript: string): Promise<HostTerminal> {
  const child = spawn('script', ['--quiet', '--flush', '--command', `tty; ${shellScript}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm' },
  })
  const ended = once(child, 'exit').then(() => undefined)
  let printed = ''
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
  })
  // A program that has ended reads no keys.
  child.stdin.on('error', () => undefined)
  const shows = (text: string | RegExp) => {
    const holds = () => (typeof text === 'string' ? printed.includes(text) : text.test(printed))
    return until(async () => holds(), `${text} on the terminal`, 40_000).catch((error: Error) => {
      throw new Error(`${error.message}; it shows:\n${printed}`)
    })
  }
  await shows('\n')
  const device = printed.slice(0, printed.indexOf('\r'))
  return {
    get screen() {
      return printed.slice(printed.indexOf('\n') + 1)
    },
    type: (keys) => void child.stdin.write(keys),
    resize: async (rows, cols) => void (await run('stty', ['-F', device, 'rows', `${rows}`, 'cols', `${cols}`])),
    shows,
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
