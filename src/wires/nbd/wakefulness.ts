/** How long what comes after a reply is waited for without sleep, in milliseconds: about twice what it takes to go to sleep and be woken. */
const awakeMs = 0.05
/** How fast a client takes what it was sent, in bytes of a millisecond. */
const takenPerMs = 5e6
/** With all that is still to be taken. */
const maxAwakeMs = 0.5
/** Replies after which nothing is waited for, at most, before it is tried again. */
const maxSkip = 255

/**
 * Keeps the event loop from sleep for a moment after it has answered. A client that asks for one thing at a time asks for the next within microseconds, and to wake a processor that has gone idle takes longer than
 * the whole answer. Where nothing comes in that moment it is tried more and more rarely: the client is slow, or has no other processor than this one to ask on.
 */
export class Wakefulness {
  #until = 0
  /** Whether sleep is put off, and whether the sockets were looked at since. */
  #isAwake = false
  #hasLooked = false
  /** Replies to skip after a moment in which nothing came, and those of them that are left. */
  #skip = 0
  #left = 0

  /** A reply was sent. @param waiting bytes that the client has not taken yet */
  answered(waiting: number): void {
    if (this.#hasLooked) this.#skip = 0
    if (!this.#isAwake && this.#left > 0) {
      this.#left--
      return
    }
    this.#until = performance.now() + Math.min(maxAwakeMs, awakeMs + waiting / takenPerMs)
    if (!this.#isAwake) setImmediate(this.#turn)
    this.#isAwake = true
  }

  /** While there is something to do in its next turn, an event loop looks at its sockets and does not wait for them. */
  #turn = (): void => {
    this.#isAwake = performance.now() < this.#until
    this.#hasLooked = this.#isAwake
    if (this.#isAwake) {
      setImmediate(this.#turn)
      return
    }
    this.#skip = Math.min(maxSkip, this.#skip * 2 + 1)
    this.#left = this.#skip
  }
}
