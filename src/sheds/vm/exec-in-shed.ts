import { Problem } from '../../base/index.ts'
import type { ExecRequest } from '../../contract/index.ts'
import type { AgentExec } from '../../wires/index.ts'
import type { ShedsContext } from '../context.ts'
import { secretEnvironment } from '../secrets/secret-values.ts'
import { type ShedUse, useShed } from '../thermal/use-shed.ts'

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Runs a program in a running shed. What the request leaves open comes from the shed, then from its image's config. The shed is in use until
 * the program has ended or was hung up on. @see Sheds.exec
 */
export async function execInShed(context: ShedsContext, name: string, request: ExecRequest): Promise<AgentExec> {
  const use = await useShed(context, name)
  try {
    const exec = await startProgram(context, use, request)
    const done = () => use[Symbol.dispose]()
    exec.exit.then(done, done)
    return exec
  } catch (error) {
    use[Symbol.dispose]()
    throw error
  }
}

async function startProgram(
  context: ShedsContext,
  { record, live }: ShedUse,
  request: ExecRequest,
): Promise<AgentExec> {
  const given = await secretEnvironment(context, record)
  const agent = await live.agent()
  const cwd = request.cwd ?? record.defaults.cwd
  const user = request.user ?? record.defaults.user
  return await agent.exec({
    argv: request.argv ?? [],
    env: { PATH: defaultPath, ...record.defaults.env, ...record.env, ...given, ...request.env },
    ...(cwd === '' ? {} : { cwd }),
    ...(user === '' ? {} : { user }),
    ...(request.tty === undefined ? {} : { tty: request.tty }),
    stdin: request.stdin,
  })
}

/** A shed is not woken for what makes no sense. @throws Problem INVALID_REQUEST */
export function checkExecRequest(name: string, { argv, tty }: ExecRequest): void {
  if (argv !== undefined || tty !== undefined) return
  throw new Problem('INVALID_REQUEST', 'there is no command to run', {
    hint: `say which: cowshed exec ${name} -- COMMAND; or open a shell: cowshed shell ${name}`,
  })
}
