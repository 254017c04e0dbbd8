import { Problem, parseName } from '../../base/index.ts'
import type { Forward } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { wholeNumber } from '../options/whole-number.ts'
import { table } from '../terminal/table.ts'

interface Options {
  readonly rm?: number
}

const port = wholeNumber('the port', { min: 0, max: 65535 })

export const forward: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'its name', (text) => parseName(text, 'shed name'))
    .argument(
      '[guestport[:hostport]]',
      'the port in the shed, and the one on the host (a free one is chosen); without it: list',
      parsePorts,
    )
    .option('--rm <hostport>', 'close a forwarded port', wholeNumber('--rm', { min: 1, max: 65535 }))
    .action(
      run(async (cli, name: string, ports: Ports | undefined, { rm }: Options) => {
        const params = { name }
        if (rm !== undefined) {
          await cli.api.call('removeForward', { params: { name, host_port: rm } })
          if (cli.json) cli.printJson({})
          return
        }
        if (ports !== undefined) {
          const made = await cli.api.call('addForward', { params, body: ports })
          if (cli.json) cli.printJson(made)
          else cli.print(`127.0.0.1:${made.host_port} → ${name}:${made.guest_port}\n`)
          await sayWhere(cli, made)
          return
        }
        const reply = await cli.api.call('listForwards', { params })
        if (cli.json) cli.printJson(reply)
        else cli.print(list(reply.forwards))
      }),
    )
}

/** Its loopback is not ours. */
async function sayWhere(cli: Cli, { host_port: port }: Forward): Promise<void> {
  const { server } = await cli.connection()
  if (server === undefined) return
  const { hostname } = new URL(server.url)
  cli.notice(`that is ${server.name}'s own 127.0.0.1; from here: ssh -N -L ${port}:127.0.0.1:${port} ${hostname}`)
}

interface Ports {
  readonly guest_port: number
  readonly host_port: number
}

/** `80` or `80:8080`. */
export function parsePorts(text: string): Ports {
  const [guest = '', host = '0', ...rest] = text.split(':')
  if (rest.length > 0 || guest === '' || host === '') {
    throw new Problem('INVALID_REQUEST', `not a port: ${JSON.stringify(text)}`, { hint: 'write it like 80 or 80:8080' })
  }
  const guest_port = port(guest)
  if (guest_port === 0) throw new Problem('INVALID_REQUEST', 'the port in the shed cannot be 0')
  return { guest_port, host_port: port(host) }
}

function list(forwards: readonly Forward[]): string {
  return table<Forward>(
    [
      { title: 'HOST', cell: ({ host_port }) => `127.0.0.1:${host_port}` },
      { title: 'SHED', align: 'right', cell: ({ guest_port }) => String(guest_port) },
    ],
    forwards,
  )
}
