import { Problem, printable } from '../../base/index.ts'
import { type ByteReader, ByteWriter } from './bytes.ts'
import { encodeFrame, type Frame } from './frame-parser.ts'
import { agentStreams, frameTypes } from './protocol.ts'
import { whole } from './replies.ts'

/** Everything that an agent says. Texts are bounded, but not yet safe to show. */
export type AgentMessage =
  | { readonly kind: 'hello'; readonly protocol: number; readonly agentVersion: string; readonly bootId: string }
  | { readonly kind: 'ready'; readonly uptimeMs: number }
  | { readonly kind: 'fault'; readonly reason: string }
  | { readonly kind: 'ok'; readonly channel: number; readonly reply: Buffer }
  | { readonly kind: 'error'; readonly channel: number; readonly errno: number; readonly message: string }
  | { readonly kind: 'started'; readonly channel: number; readonly reply: Buffer }
  | { readonly kind: 'output'; readonly channel: number; readonly stream: number; readonly bytes: Buffer }
  | { readonly kind: 'outputEnd'; readonly channel: number; readonly stream: number }
  | { readonly kind: 'inputCredit'; readonly channel: number; readonly bytes: number }
  /** `signal` is 0 for a program that ended by itself. */
  | { readonly kind: 'exit'; readonly channel: number; readonly code: number; readonly signal: number }

const nameMax = 64
const textMax = 1024
const bootIdPattern = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/

/** @throws Problem AGENT_PROTOCOL for whatever an agent does not say */
export function decodeAgentMessage(frame: Frame): AgentMessage {
  const { type, channel, payload } = frame
  const isGreeting = type === frameTypes.HELLO || type === frameTypes.READY || type === frameTypes.FAULT
  if (isGreeting !== (channel === 0)) throw unknown(frame)
  switch (type) {
    case frameTypes.HELLO:
      return whole(payload, 'HELLO', readHello)
    case frameTypes.READY:
      return { kind: 'ready', uptimeMs: whole(payload, 'READY', (reader) => reader.size()) }
    case frameTypes.FAULT:
      return { kind: 'fault', reason: printable(payload.subarray(0, textMax).toString('utf8')) }
    case frameTypes.OK:
      return { kind: 'ok', channel, reply: payload }
    case frameTypes.ERROR:
      return whole(payload, 'ERROR', (reader) => {
        return { kind: 'error', channel, errno: reader.u16(), message: printable(reader.text(textMax)) }
      })
    case frameTypes.STARTED:
      return { kind: 'started', channel, reply: payload }
    case frameTypes.OUTPUT:
      return whole(payload, 'OUTPUT', (reader) => readOutput(reader, channel))
    case frameTypes.OUTPUT_END:
      return { kind: 'outputEnd', channel, stream: whole(payload, 'OUTPUT_END', readStream) }
    case frameTypes.INPUT_CREDIT:
      return { kind: 'inputCredit', channel, bytes: whole(payload, 'INPUT_CREDIT', (reader) => reader.u32()) }
    case frameTypes.EXIT:
      return whole(payload, 'EXIT', (reader) => readExit(reader, channel))
    default:
      throw unknown(frame)
  }
}

function readHello(reader: ByteReader): AgentMessage {
  const protocol = reader.u16()
  const agentVersion = printable(reader.text(nameMax))
  const bootId = reader.text(nameMax)
  if (!bootIdPattern.test(bootId)) throw reader.wrong('its boot id is not one')
  return { kind: 'hello', protocol, agentVersion, bootId }
}

function readStream(reader: ByteReader): number {
  const stream = reader.u8()
  if (stream !== agentStreams.stdout && stream !== agentStreams.stderr) throw reader.wrong(`stream ${stream}`)
  return stream
}

function readOutput(reader: ByteReader, channel: number): AgentMessage {
  const stream = readStream(reader)
  const bytes = reader.rest()
  if (bytes.length === 0) throw reader.wrong('it is empty')
  return { kind: 'output', channel, stream, bytes }
}

function readExit(reader: ByteReader, channel: number): AgentMessage {
  const code = reader.u8()
  const signal = reader.u8()
  if (signal > 64) throw reader.wrong(`signal ${signal}`)
  return { kind: 'exit', channel, code, signal }
}

function unknown({ type, channel }: Frame): Problem {
  return new Problem('AGENT_PROTOCOL', `the guest sent a frame of type ${type} on channel ${channel}`)
}

/** The agent's own side, in C, is guest/src; this one is for those who test against it. */
export function encodeAgentMessage(message: AgentMessage): Buffer {
  const bytes = new ByteWriter()
  const frame = (type: number, channel: number) => encodeFrame({ type, channel, payload: bytes.finish() })
  switch (message.kind) {
    case 'hello':
      bytes.u16(message.protocol).text(message.agentVersion).text(message.bootId)
      return frame(frameTypes.HELLO, 0)
    case 'ready':
      bytes.u64(message.uptimeMs)
      return frame(frameTypes.READY, 0)
    case 'fault':
      bytes.raw(Buffer.from(message.reason))
      return frame(frameTypes.FAULT, 0)
    case 'ok':
      bytes.raw(message.reply)
      return frame(frameTypes.OK, message.channel)
    case 'error':
      bytes.u16(message.errno).text(message.message)
      return frame(frameTypes.ERROR, message.channel)
    case 'started':
      bytes.raw(message.reply)
      return frame(frameTypes.STARTED, message.channel)
    case 'output':
      bytes.u8(message.stream).raw(message.bytes)
      return frame(frameTypes.OUTPUT, message.channel)
    case 'outputEnd':
      bytes.u8(message.stream)
      return frame(frameTypes.OUTPUT_END, message.channel)
    case 'inputCredit':
      bytes.u32(message.bytes)
      return frame(frameTypes.INPUT_CREDIT, message.channel)
    case 'exit':
      bytes.u8(message.code).u8(message.signal)
      return frame(frameTypes.EXIT, message.channel)
  }
}
