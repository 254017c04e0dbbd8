import { Problem } from '../../base/index.ts'
import { agentLimits } from '../../formats/index.ts'
import { type Deferred, deferred } from './deferred.ts'

/** How much of the next input may be sent: the guest gives credit back for what its program has taken. */
export class InputWindow {
  #credit: number = agentLimits.inputWindow
  #closed = false
  #wake: Deferred<void> | undefined

  /** @throws Problem AGENT_PROTOCOL when the guest gives more than it ever got */
  add(bytes: number): void {
    if (this.#credit + bytes > agentLimits.inputWindow) {
      throw new Problem('AGENT_PROTOCOL', 'the guest gave credit for input that it never got')
    }
    this.#credit += bytes
    this.#wakeUp()
  }

  /** Nobody takes input any more: whoever waits goes on, into nothing. */
  close(): void {
    this.#closed = true
    this.#wakeUp()
  }

  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.resolve()
  }

  /** Waits until at least a byte may be sent. @returns how many of `wanted` may be; 0 when nobody takes input any more */
  async take(wanted: number): Promise<number> {
    while (this.#credit === 0 && !this.#closed) {
      this.#wake ??= deferred()
      await this.#wake.promise
    }
    if (this.#closed) return 0
    const taken = Math.min(wanted, this.#credit)
    this.#credit -= taken
    return taken
  }
}
