import { Problem } from '../../base/index.ts'
import { agentLimits } from './protocol.ts'

/** What begins every connection: the key of this boot, by which the agent knows that a host begins anew, and a nonce that is never used again. */
export function encodeSync(key: Buffer, nonce: Buffer): Buffer {
  if (key.length !== agentLimits.keyBytes || nonce.length !== agentLimits.nonceBytes) {
    throw new Problem('INTERNAL', "the agent's key and the nonce have 16 bytes each")
  }
  return Buffer.concat([key, nonce])
}

/** More than every queue between here and a guest can hold of what an earlier host was sent. */
const maxStaleBytes = 64 << 20

/** Passes over whatever an earlier connection left behind, up to the agent's echo of the nonce. */
export class NonceFinder {
  readonly #nonce: Buffer
  #carried: Buffer = Buffer.alloc(0)
  #passed = 0

  constructor(nonce: Buffer) {
    this.#nonce = nonce
  }

  /** @returns what follows the nonce, undefined while it has not come @throws Problem AGENT_PROTOCOL when it does not come for too long */
  push(chunk: Buffer): Buffer | undefined {
    const bytes = Buffer.concat([this.#carried, chunk])
    const at = bytes.indexOf(this.#nonce)
    if (at >= 0) return bytes.subarray(at + this.#nonce.length)
    this.#passed += chunk.length
    if (this.#passed > maxStaleBytes) {
      throw new Problem('AGENT_PROTOCOL', 'the guest sends, but does not synchronise')
    }
    this.#carried = bytes.subarray(Math.max(0, bytes.length - this.#nonce.length + 1))
    return undefined
  }
}
