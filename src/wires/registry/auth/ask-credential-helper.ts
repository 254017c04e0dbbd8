import { z } from 'zod'
import { isProblem, printableBytes } from '../../../base/index.ts'
import { runTool, type ToolResult } from '../../../host/index.ts'
import type { Credentials } from './credentials.ts'

export interface AskCredentialHelper {
  readonly server: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** 20,000 unless told: some ask a cloud, none should ask a person. */
  readonly timeoutMs?: number
}

export interface HelperAnswer {
  readonly credentials?: Credentials | undefined
  /** Why there are none, when it is more than that the helper knows of none. */
  readonly note?: string
}

const Answer = z.object({ Username: z.string(), Secret: z.string() })

/**
 * Asks `docker-credential-<helper> get`. Never throws, and says nothing of what the helper printed where a secret could be in it.
 *
 * @see docker/docker-credential-helpers, "Development"
 */
export async function askCredentialHelper(
  helper: string,
  { server, env, timeoutMs = 20_000 }: AskCredentialHelper,
): Promise<HelperAnswer> {
  // It becomes the name of a program.
  if (!/^[a-z0-9_-]{1,64}$/i.test(helper)) return { note: 'a credential helper has a name that no helper can have' }
  const program = `docker-credential-${helper}`
  try {
    const result = await runTool(program, ['get'], {
      input: server,
      env,
      timeoutMs,
      okCodes: [0, 1],
      maxOutputBytes: 2 ** 20,
    })
    return result.code === 0 ? parseAnswer(program, result.stdout) : refusal(program, result)
  } catch (error) {
    if (isProblem(error, 'TOOL_NOT_FOUND')) return { note: `${program} is not installed` }
    return { note: `${program} failed` }
  }
}

function parseAnswer(program: string, stdout: Buffer): HelperAnswer {
  let value: unknown
  try {
    value = JSON.parse(stdout.toString('utf8'))
  } catch {
    return { note: `${program} did not answer in JSON` }
  }
  const answer = Answer.safeParse(value)
  if (!answer.success) return { note: `${program} gave no user and secret` }
  const { Username: username, Secret: secret } = answer.data
  if (username === '<token>') return { credentials: { kind: 'identity-token', token: secret } }
  if (username === '' || secret === '') return {}
  return { credentials: { kind: 'password', username, password: secret } }
}

function refusal(program: string, { stdout, stderr }: ToolResult): HelperAnswer {
  const said = (stdout.length > 0 ? stdout : stderr).subarray(0, 200).toString('latin1').trim()
  if (said.includes('credentials not found')) return {}
  // An answer in spite of the exit code would be the secret.
  if (said.startsWith('{')) return { note: `${program} failed` }
  return { note: `${program} failed: ${printableBytes(Buffer.from(said, 'latin1'))}` }
}
