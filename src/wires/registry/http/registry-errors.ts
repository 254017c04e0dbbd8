import { printable } from '../../../base/index.ts'
import type { HttpResponse } from './http-message.ts'
import type { Transport } from './transport.ts'

/** What a registry says is wrong, in a form for people and in one for programs. */
export interface RegistryErrors {
  /** `MANIFEST_UNKNOWN: manifest unknown`; empty when it says nothing that can be understood. Printable, at most 300 characters. */
  readonly text: string
  readonly codes: readonly string[]
}

/** Errors are short. A body that goes on is not read on. */
const maxBytes = 64 * 1024

/**
 * Reads the body of an answer that is an error. Never throws: an error whose text cannot be had is an error all the same.
 *
 * @param secrets what must not come back in a message, should the registry quote it
 * @see distribution-spec, "Error codes"
 */
export async function readErrors(
  transport: Transport,
  response: HttpResponse,
  secrets: readonly (string | undefined)[],
): Promise<RegistryErrors> {
  const { text, codes } = describe(await readStart(transport.read(response)))
  const open = secrets.filter(isText).reduce((said, secret) => said.replaceAll(secret, '…'), text)
  return { text: printable(open).slice(0, 300), codes }
}

async function readStart(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > maxBytes) break
    }
  } catch {
    // What has come counts.
  }
  return Buffer.concat(chunks).toString('utf8')
}

function describe(body: string): RegistryErrors {
  const value = parse(body)
  if (!isObject(value)) return { text: plainText(body), codes: [] }
  const errors = (Array.isArray(value.errors) ? value.errors : []).filter(isObject).slice(0, 5)
  if (errors.length === 0) {
    // Token servers: OAuth2's error and error_description, or what they like.
    const said = ['error', 'error_description', 'details', 'message'].map((key) => value[key])
    return { text: said.filter(isText).join(': '), codes: [] }
  }
  return {
    text: errors.map(({ code, message }) => [code, message].filter(isText).join(': ')).join('; '),
    codes: errors.map(({ code }) => code).filter(isText),
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** The first line; nothing of a page of HTML. */
function plainText(body: string): string {
  return /^\s*</.test(body) ? '' : (body.trim().split('\n')[0] ?? '')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
