import { Problem } from '../../base/index.ts'
import { agentStreams, decodePid, signalName, signalNumber } from '../../formats/index.ts'
import type { AgentExec, ExecExit, ExecSpec } from './agent-connection.ts'
import { answerOf, strictly } from './call.ts'
import type { Final, GuestChannel } from './guest-channel.ts'
import type { Request, Session } from './session.ts'

/** Starts a program in the guest; resolves when it runs, or when it is known that it cannot (its exit code says so then). */
export async function exec(session: Session, spec: ExecSpec): Promise<AgentExec> {
  const channel = session.open(requestOf(spec))
  const reply = await answerOf(session, channel, { promise: channel.started.promise, options: spec })
  const pid = strictly(session, () => decodePid(reply))
  return runningProgram({ session, channel, pid, isTty: spec.tty !== undefined })
}

function requestOf({ argv, env, cwd, user, tty, stdin }: ExecSpec): Request {
  const variables = Object.entries(env).map(([name, value]) => variable(name, value))
  const texts = [...argv, ...variables, cwd ?? '', user ?? '']
  if (texts.some((text) => text.includes('\0'))) {
    throw new Problem('INVALID_REQUEST', 'an argument, a variable, a directory or a user has a NUL in it')
  }
  const size = tty === undefined ? undefined : { rows: tty.rows, cols: tty.cols }
  return { kind: 'exec', stdin, tty: size, user: user ?? '', cwd: cwd ?? '', argv, env: variables }
}

function variable(name: string, value: string): string {
  if (name === '' || name.includes('=')) {
    throw new Problem('INVALID_REQUEST', `not a name of a variable: ${JSON.stringify(name.slice(0, 80))}`)
  }
  return `${name}=${value}`
}

function runningProgram({ session, channel, pid, isTty }: ProgramOptions): AgentExec {
  let written = Promise.resolve()
  let ended = false
  return {
    pid,
    stdout: channel.output(agentStreams.stdout),
    stderr: isTty ? emptyOutput() : channel.output(agentStreams.stderr),
    writeStdin: async (chunk) => {
      if (ended) throw new Problem('INVALID_REQUEST', 'stdin has been ended')
      // One after the other, whoever writes.
      written = written.then(() => session.sendInput(channel, chunk))
      await written
    },
    endStdin: () => {
      if (ended) return
      ended = true
      void written.then(() => session.send(channel, { kind: 'inputEnd' }))
    },
    resize: (rows, cols) => session.send(channel, { kind: 'resize', rows, cols }),
    signal: (name) => session.send(channel, { kind: 'signal', number: numberOf(name) }),
    cancel: () => session.cancel(channel, new Problem('CANCELLED', 'the program in the guest was hung up on')),
    exit: exitOf(channel),
  }
}

interface ProgramOptions {
  readonly session: Session
  readonly channel: GuestChannel
  readonly pid: number
  readonly isTty: boolean
}

function numberOf(name: string): number {
  const number = signalNumber(name)
  if (number === undefined) throw new Problem('INVALID_REQUEST', `not a signal: ${JSON.stringify(name.slice(0, 40))}`)
  return number
}

function exitOf(channel: GuestChannel): Promise<ExecExit> {
  const exit = channel.final.promise.then(asExit)
  // Who is interested only in the output need not wait for it.
  exit.catch(() => {})
  return exit
}

function asExit(final: Final): ExecExit {
  if (final.kind !== 'exit') throw new Problem('AGENT_PROTOCOL', 'the guest ended a program without its exit code')
  const { code, signal } = final
  return signal === 0 ? { code } : { code: 128 + signal, signal: signalName(signal) }
}

async function* emptyOutput(): AsyncGenerator<Buffer> {}
