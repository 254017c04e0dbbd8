import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
/** Collects all garbage of this thread. What native code has attached to it is let go of in the turns that follow. */
export const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of buffers that this thread still needs; other tests, on other threads, do not count. */
export function heldBytes(): number {
  // What the first round frees is subtracted in the second.
  collectGarbage()
  collectGarbage()
  return getHeapStatistics().external_memory
}
