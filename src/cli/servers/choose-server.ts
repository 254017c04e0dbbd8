import { Problem } from '../../base/index.ts'
import { localName, type ServerBook } from './server-book.ts'
import { checkToken, checkUrl, type RemoteServer } from './server-record.ts'

export interface ChooseServer {
  /** What the command line says: `--server`, `--data`. */
  readonly server?: string | undefined
  readonly data?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly book: ServerBook
  /** A file of certificates. */
  readonly readCa: (path: string) => Promise<string>
}

/**
 * Which server a command talks to: what the command line says, then what the environment says, then the default. COWSHED_TOKEN goes to no
 * server but the one that COWSHED_SERVER names, or a URL on the command line.
 *
 * @returns undefined for the daemon of this user on this host
 * @throws Problem SERVER_NOT_FOUND, SETTINGS_INVALID, INVALID_REQUEST
 */
export async function chooseServer(asked: ChooseServer): Promise<RemoteServer | undefined> {
  const { server, data, env, book } = asked
  if (server !== undefined && data !== undefined) {
    throw new Problem('INVALID_REQUEST', '--server and --data each say whom to talk to', { hint: 'give one of them' })
  }
  if (server !== undefined) return await find(asked, server)
  if (data !== undefined) return undefined
  if (env.COWSHED_SERVER) return await find(asked, env.COWSHED_SERVER)
  if (env.COWSHED_DATA) return undefined
  const name = await book.default()
  return name === undefined ? undefined : await book.get(name)
}

async function find(asked: ChooseServer, name: string): Promise<RemoteServer | undefined> {
  const { env, book } = asked
  const ofEnvironment = env.COWSHED_SERVER === undefined || env.COWSHED_SERVER === '' || env.COWSHED_SERVER === name
  const token = ofEnvironment && env.COWSHED_TOKEN ? checkToken(env.COWSHED_TOKEN) : undefined
  if (name === localName) return undefined
  if (name.includes('://')) return await byUrl(asked, name, token)
  const known = await book.get(name)
  return env.COWSHED_SERVER === name && token !== undefined ? { ...known, token } : known
}

async function byUrl({ env, readCa }: ChooseServer, text: string, token: string | undefined): Promise<RemoteServer> {
  const url = checkUrl(text, { plainHttp: false })
  if (token === undefined) {
    throw new Problem('INVALID_REQUEST', `there is no token for ${url}`, {
      hint: `set COWSHED_TOKEN, or keep it: cowshed server add NAME ${url} --token-stdin`,
    })
  }
  return { name: url, url, token, ...(env.COWSHED_CA ? { ca: await readCa(env.COWSHED_CA) } : {}) }
}
