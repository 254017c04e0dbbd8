import { formatDuration, Problem, parseDuration } from '../../base/index.ts'
import { type IdleTime, type SetThermalRequest, shortestIdleMs } from '../../contract/index.ts'

/** `default`: as config.toml says. commander makes a null something else. */
type IdleText = IdleTime | 'default'

export interface IdleOptions {
  readonly warmAfter?: IdleText
  readonly coldAfter?: IdleText
  readonly keepHot?: boolean
}

const words = 'a duration, `never`, or `default` for what config.toml says'
export const warmAfterText = `pause it when nobody has used it for so long: ${words}`
export const coldAfterText = `put its memory on the disk when nobody has used it for so long: ${words}`
export const keepHotText = 'do neither, whatever the other two say'

/** @throws Problem INVALID_REQUEST */
export function idleTime(text: string): IdleText {
  if (text === 'never' || text === 'default') return text
  const milliseconds = parseDuration(text)
  if (milliseconds >= shortestIdleMs) return milliseconds
  throw new Problem('INVALID_REQUEST', `${text} is too short: ${formatDuration(shortestIdleMs)} is the least`, {
    hint: 'say `never` if it is to stay hot',
  })
}

/** What they say of a shed. */
export function idleRequest({ warmAfter, coldAfter, keepHot }: IdleOptions): SetThermalRequest {
  return {
    ...(warmAfter === undefined ? {} : { warm_after_ms: asRequested(warmAfter) }),
    ...(coldAfter === undefined ? {} : { cold_after_ms: asRequested(coldAfter) }),
    ...(keepHot === undefined ? {} : { keep_hot: keepHot }),
  }
}

function asRequested(text: IdleText): IdleTime | null {
  return text === 'default' ? null : text
}
