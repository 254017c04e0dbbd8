import { Problem } from '../../base/index.ts'

/** A JSON object of the protocol, whose fields are looked at one by one. */
export type QmpObject = Readonly<Record<string, unknown>>

/** The version of QEMU, as it greets with. */
export interface QmpGreeting {
  /** `7.2.22`. */
  readonly version: string
  /** What the distribution adds to it; may be empty. */
  readonly package: string
}

export interface QmpEvent {
  /** `SHUTDOWN`, `STOP`, … */
  readonly name: string
  readonly data: QmpObject
  /** Microseconds since the epoch; 0 when QEMU did not say. */
  readonly microseconds: number
}

export type QmpMessage =
  | { readonly kind: 'greeting'; readonly greeting: QmpGreeting }
  | { readonly kind: 'return'; readonly id: number | undefined; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number | undefined; readonly class: string; readonly description: string }
  | { readonly kind: 'event'; readonly event: QmpEvent }

/**
 * Reads one line that a QMP server sent.
 *
 * @throws Problem QMP_FAILED when it is not a message of the protocol
 * @see QEMU, docs/interop/qmp-spec.rst, section 2
 */
export function parseQmpMessage(line: string): QmpMessage {
  const message = parseObject(line)
  if ('event' in message) return { kind: 'event', event: parseEvent(message) }
  if ('return' in message) return { kind: 'return', id: parseId(message), value: message.return }
  if ('error' in message) return parseError(message)
  if ('QMP' in message) return { kind: 'greeting', greeting: parseGreeting(message) }
  throw notQmp(line)
}

/** The value as an object; an empty one when it is something else. */
export function asObject(value: unknown): QmpObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as QmpObject) : {}
}

function parseObject(line: string): QmpObject {
  try {
    return asObject(JSON.parse(line))
  } catch (error) {
    throw notQmp(line, error)
  }
}

function parseEvent(message: QmpObject): QmpEvent {
  const { seconds, microseconds } = asObject(message.timestamp)
  return {
    name: asText(message.event),
    data: asObject(message.data),
    microseconds: asCount(seconds) * 1e6 + asCount(microseconds),
  }
}

function parseError(message: QmpObject): QmpMessage {
  const error = asObject(message.error)
  return { kind: 'error', id: parseId(message), class: asText(error.class), description: asText(error.desc) }
}

function parseGreeting(message: QmpObject): QmpGreeting {
  const version = asObject(asObject(message.QMP).version)
  const { major, minor, micro } = asObject(version.qemu)
  return { version: [major, minor, micro].map(asCount).join('.'), package: asText(version.package) }
}

function parseId({ id }: QmpObject): number | undefined {
  return typeof id === 'number' ? id : undefined
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function asCount(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0
}

function notQmp(line: string, cause?: unknown): Problem {
  return new Problem('QMP_FAILED', `not a message of QEMU's monitor: ${JSON.stringify(line.slice(0, 100))}`, { cause })
}
