/**
 * wires/files: a stream to or from one unix socket, as VMMs save and load their states.
 *
 * Belongs here: listening for one sender, connecting to one receiver.
 * Promises: what could not be written says why; a file that was there before is not touched.
 * Never: knows what the bytes mean, or makes them durable.
 */
export { type Receiving, receiveFile } from './receive-file.ts'
export { relayStream } from './relay-stream.ts'
export { sendFile } from './send-file.ts'
