import { readFile } from 'node:fs/promises'
import { Problem, parseName, printable, problemFromSystem } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { absolutePath } from '../options/absolute-path.ts'
import { readCa } from '../servers/read-ca.ts'
import { localName } from '../servers/server-book.ts'
import { checkToken, checkUrl, type ServerRecord } from '../servers/server-record.ts'
import { readSecret } from '../terminal/read-secret.ts'

interface Options {
  readonly tokenStdin?: boolean
  readonly tokenFile?: string
  readonly ca?: string
  readonly plainHttp?: boolean
  readonly check: boolean
  readonly setDefault?: boolean
}

export const serverAdd: DefineCommand = (command, run) => {
  command
    .argument('<name>', 'what to call it here', serverName)
    .argument('<url>', 'where it is: https://HOST:PORT')
    .option('--token-stdin', 'read its token from stdin')
    .option('--token-file <file>', 'read its token from a file')
    .option('--ca <file>', 'the certificates (PEM) that alone vouch for it, instead of those of the system')
    .option('--plain-http', 'over http to another host, though the token can be seen on the way then')
    .option('--no-check', 'do not ask it whether all of this is right')
    .option('--set-default', 'talk to it when nothing else is said')
    .action(run(add))
}

async function add(cli: Cli, name: string, url: string, options: Options): Promise<void> {
  const record: ServerRecord = {
    url: checkUrl(url, { plainHttp: options.plainHttp === true }),
    ...(options.ca === undefined ? {} : { ca: await readCa(absolutePath(cli, options.ca)) }),
    ...(options.plainHttp === true ? { plain_http: true } : {}),
    token: checkToken(await tokenOf(cli, options)),
  }
  await requireSame(cli, name, record)
  const version = options.check ? await versionOf(cli, name, record) : undefined
  await cli.servers.put(name, record)
  if (options.setDefault === true) await cli.servers.setDefault(name)
  if (cli.json) return cli.printJson({ name, url: record.url, ...(version === undefined ? {} : { version }) })
  cli.print(`${name} added${version === undefined ? '' : `: cowshed ${printable(version)}`}\n`)
}

export function serverName(text: string): string {
  const name = parseName(text, 'name of a server')
  if (name !== localName) return name
  throw new Problem('INVALID_REQUEST', `${localName} is the daemon of this host`, { hint: 'choose another name' })
}

/** Never an argument: everybody on this host can read those. */
async function tokenOf(cli: Cli, { tokenStdin, tokenFile }: Options): Promise<string> {
  const { stdin, stderr } = cli.terminal
  if (tokenStdin === true && tokenFile !== undefined) {
    throw new Problem('INVALID_REQUEST', '--token-stdin and --token-file each say where the token is')
  }
  if (tokenFile !== undefined) {
    const path = absolutePath(cli, tokenFile)
    return await readFile(path, 'utf8').catch((error: unknown) => {
      throw problemFromSystem(error, `read ${path}`)
    })
  }
  if (tokenStdin !== true && stdin.isTTY !== true) {
    throw new Problem('INVALID_REQUEST', 'there is no token', {
      hint: `give it with --token-file FILE or --token-stdin, like: ssh HOST cowshed token create | cowshed server add NAME URL --token-stdin`,
    })
  }
  if (stdin.isTTY === true) return await readSecret({ stdin, stderr, signal: cli.signal, question: 'token: ' })
  let text = ''
  for await (const chunk of stdin) {
    text += String(chunk)
    if (text.length > 4096) break
  }
  return text
}

/** A new token for the same server is no other server. */
async function requireSame(cli: Cli, name: string, { url }: ServerRecord): Promise<void> {
  if (!(await cli.servers.names()).includes(name)) return
  // A record that cannot be read is replaced: that is what its complaint says to do.
  const known = await cli.servers.get(name).catch(() => undefined)
  if (known === undefined || known.url === url) return
  throw new Problem('SERVER_ALREADY_EXISTS', `${name} is ${known.url} already`, {
    hint: `choose another name, or: cowshed server rm ${name}`,
  })
}

async function versionOf(cli: Cli, name: string, record: ServerRecord): Promise<string> {
  try {
    const { api } = await cli.connectTo({ name, ...record })
    return (await api.call('getInfo', {})).version
  } catch (error) {
    cli.notice(`${name} was not added; to add it all the same: --no-check`)
    throw error
  }
}
