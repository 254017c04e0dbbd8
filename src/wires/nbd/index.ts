/**
 * wires/nbd: a server of network block devices that are read and never written.
 *
 * Belongs here: listening, the handshake, requests and their replies; a client that only waits for a server's end.
 * Promises: whatever clients send, memory is bounded and others are served; what cannot be read is an error to the client, never other bytes.
 * Never: knows where the bytes come from.
 */
export type { BlockSource } from './block-source.ts'
export { formatNbdAddress, type NbdAddress, parseNbdAddress } from './nbd-address.ts'
export { type NbdServer, type NbdServerCounters, serveNbd } from './serve-nbd.ts'
export { type NbdWatch, watchNbd } from './watch-nbd.ts'
