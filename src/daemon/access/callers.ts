import type { IncomingMessage } from 'node:http'
import type { Caller } from './tokens.ts'

const callers = new WeakMap<IncomingMessage, Caller>()

/** Says who makes a request that came over the network, before anything else is done with it. */
export function setCaller(request: IncomingMessage, caller: Caller): void {
  callers.set(request, caller)
}

/** Who makes a request; undefined for one that came over the unix socket, whose mode says who may. */
export function callerOf(request: IncomingMessage): Caller | undefined {
  return callers.get(request)
}
