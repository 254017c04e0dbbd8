/**
 * wires/ports: ports of this host's loopback whose connections are passed on to others of it.
 *
 * Belongs here: listening, and carrying bytes both ways.
 * Promises: a connection is not read before it is known where it goes; each side ends on its own; one that is reset harms no other.
 * Never: knows what the bytes mean, or who is at the other end.
 */
export { type OpenPort, type OpenPortOptions, openPort } from './open-port.ts'
export { loopback, type PortConnection } from './port-connection.ts'
