import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { errnoCode, isName, Problem, problemFromSystem } from '../../base/index.ts'
import { closest } from '../closest.ts'
import type { RemoteServer, ServerRecord } from './server-record.ts'
import { syncDirectory, writePrivateFile } from './write-private-file.ts'

/** The servers that this user has added: a file for each, so that two commands at once lose nothing, and one that says which is the default. */
export interface ServerBook {
  /** By name. Broken ones too: what is wrong with them is the error of whoever gets them. */
  names(): Promise<string[]>
  /** @throws Problem SERVER_NOT_FOUND, SETTINGS_INVALID */
  get(name: string): Promise<RemoteServer>
  /** Takes the place of one that is there. @throws Problem NO_SPACE, IO_FAILED */
  put(name: string, record: ServerRecord): Promise<void>
  /** @throws Problem SERVER_NOT_FOUND */
  remove(name: string): Promise<void>
  default(): Promise<string | undefined>
  /** undefined: this host. */
  setDefault(name: string | undefined): Promise<void>
}

/** Not one that can be added: the daemon of this user on this host. */
export const localName = 'local'

export function serverBook(directory: string): ServerBook {
  const servers = `${directory}/servers`
  const pathOf = (name: string) => `${servers}/${name}.json`
  const defaultPath = `${directory}/default-server`
  const names = async () => {
    const entries = (await unlessAbsent(() => readdir(servers), servers)) ?? []
    const found = entries.map((entry) => entry.replace(/\.json$/, ''))
    return found.filter((name, at) => name !== entries[at] && isName(name)).sort()
  }
  const notFound = async (name: string) => {
    const meant = closest(name, await names())
    const hint = meant === undefined ? 'see which there are: cowshed server ls' : `did you mean ${meant}?`
    return new Problem('SERVER_NOT_FOUND', `there is no server ${name}`, { hint })
  }
  return {
    names,
    async get(name) {
      const text = isName(name) ? await unlessAbsent(() => readFile(pathOf(name), 'utf8'), pathOf(name)) : undefined
      if (text === undefined) throw await notFound(name)
      return { name, ...parseRecord(text, pathOf(name)) }
    },
    async put(name, record) {
      await writePrivateFile(pathOf(name), `${JSON.stringify(record, null, 2)}\n`)
      await sweep(servers)
    },
    async remove(name) {
      if (!(await names()).includes(name)) throw await notFound(name)
      await rm(pathOf(name), { force: true })
      await sweep(servers)
      await syncDirectory(servers)
    },
    default: async () => (await unlessAbsent(() => readFile(defaultPath, 'utf8'), defaultPath))?.trim() || undefined,
    setDefault: (name) =>
      name === undefined ? rm(defaultPath, { force: true }) : writePrivateFile(defaultPath, `${name}\n`),
  }
}

async function unlessAbsent<T>(read: () => Promise<T>, path: string): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) return undefined
    throw problemFromSystem(error, `read ${path}`)
  }
}

function parseRecord(text: string, path: string): ServerRecord {
  const { url, token, ca, plain_http }: Record<keyof ServerRecord, unknown> = parseObject(text, path)
  if (typeof url !== 'string' || typeof token !== 'string' || !URL.canParse(url)) throw invalid(path)
  return { url, token, ...(typeof ca === 'string' ? { ca } : {}), ...(plain_http === true ? { plain_http } : {}) }
}

function parseObject(text: string, path: string): Record<keyof ServerRecord, unknown> {
  try {
    return Object(JSON.parse(text))
  } catch (error) {
    throw invalid(path, error)
  }
}

function invalid(path: string, cause?: unknown): Problem {
  return new Problem('SETTINGS_INVALID', `${path} is not what server add writes`, {
    hint: 'remove it and add the server again: cowshed server add NAME URL --token-stdin',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** What others may be writing just now is younger. */
const staleMs = 60_000

/** What was half written when it was killed may have a token in it. */
async function sweep(directory: string): Promise<void> {
  for (const entry of await readdir(directory)) {
    if (!entry.endsWith('.tmp')) continue
    const written = await stat(`${directory}/${entry}`).catch(() => undefined)
    if (written !== undefined && Date.now() - written.mtimeMs > staleMs)
      await rm(`${directory}/${entry}`, { force: true })
  }
}
