import { Problem } from '../base/index.ts'
import type { Pin, Pins } from './open-pins.ts'

/** What is asked before something is removed. @throws Problem PINNED; RECORD_INVALID when it cannot be known */
export async function refusePinned(pins: Pins, pin: Pin, name: string): Promise<void> {
  if ((await pins.read()).has(pin)) throw pinnedProblem(pin.kind, name)
}

/** What a removal of something pinned is answered with. @param name what people call it */
export function pinnedProblem(kind: Pin['kind'], name: string): Problem {
  return new Problem('PINNED', `${kind} ${name} is ${words[kind].is}`, {
    hint: `let it go first: ${undoOf(kind, name)}`,
  })
}

/** Why lists of what could go leave it out. */
export function pinnedReason(kind: Pin['kind'], name: string): string {
  return `${words[kind].is} (to let it go: ${undoOf(kind, name)})`
}

function undoOf(kind: Pin['kind'], name: string): string {
  return `cowshed ${words[kind].undo} ${name}`
}

const words = {
  image: { is: 'pinned', undo: 'image unpin' },
  shed: { is: 'protected', undo: 'unprotect' },
  snapshot: { is: 'protected', undo: 'snapshot unprotect' },
  volume: { is: 'protected', undo: 'volume unprotect' },
} as const satisfies Record<Pin['kind'], object>
