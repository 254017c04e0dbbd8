/**
 * wires/agent: the host's side of the conversation with the agent in a guest.
 *
 * Promises: a guest that lies, floods or falls silent costs a bounded amount of memory and ends in a Problem, never in waiting for ever;
 * streams are paced by whoever reads them.
 * Never: trusts a name, a number or an order of frames that comes from a guest.
 */

export type {
  AgentConnection,
  AgentExec,
  CallOptions,
  ExecExit,
  ExecSpec,
  GuestPath,
  WriteOptions,
} from './agent-connection.ts'
export { connectAgent } from './connect-agent.ts'
