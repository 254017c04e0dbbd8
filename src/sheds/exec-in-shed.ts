import { Problem } from '../base/index.ts'
import type { ExecRequest } from '../contract/index.ts'
import type { AgentExec } from '../wires/index.ts'
import type { ShedsContext } from './context.ts'
import { loadShed } from './load-shed.ts'
import { shedNotRunning } from './shed-record.ts'

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Runs a program in a running shed. What the request leaves open comes from the shed, then from its image's config. @see Sheds.exec */
export async function execInShed(context: ShedsContext, name: string, request: ExecRequest): Promise<AgentExec> {
  const record = await loadShed(context, name)
  if (request.argv === undefined && request.tty === undefined) {
    throw new Problem('INVALID_REQUEST', 'there is no command to run', {
      hint: `say which: cowshed exec ${name} -- COMMAND; or open a shell: cowshed shell ${name}`,
    })
  }
  const live = context.live.get(name)
  if (live === undefined) throw shedNotRunning(name)
  const agent = await live.agent()
  const cwd = request.cwd ?? record.defaults.cwd
  const user = request.user ?? record.defaults.user
  return await agent.exec({
    argv: request.argv ?? [],
    env: { PATH: defaultPath, ...record.defaults.env, ...record.env, ...request.env },
    ...(cwd === '' ? {} : { cwd }),
    ...(user === '' ? {} : { user }),
    ...(request.tty === undefined ? {} : { tty: request.tty }),
    stdin: request.stdin,
  })
}
