import { readFile } from 'node:fs/promises'
import { parse, TomlError } from 'smol-toml'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import { Settings } from './settings.ts'

/**
 * Reads config.toml; a file that is not there sets nothing.
 *
 * @throws Problem SETTINGS_INVALID naming the line or the key; PERMISSION_DENIED, IO_FAILED
 */
export async function readSettings(path: string): Promise<Settings> {
  return parseSettings(await readText(path), path)
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return ''
    throw problemFromSystem(error, `read the settings in ${path}`)
  }
}

function parseSettings(text: string, path: string): Settings {
  const checked = Settings.safeParse(parseToml(text, path))
  if (checked.success) return checked.data
  const [issue] = checked.error.issues
  const key = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `
  throw invalid(path, `${key}${issue?.message ?? 'it is not valid'}`, checked.error)
}

function parseToml(text: string, path: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [what] = error.message.split('\n')
    throw invalid(path, `line ${error.line}: ${what}`, error)
  }
}

function invalid(path: string, what: string, cause: unknown): Problem {
  return new Problem('SETTINGS_INVALID', `${path}: ${what}`, {
    hint: 'docs/configuration.md lists what can be set; without the file everything has its default',
    cause,
  })
}
