import picocolors from 'picocolors'
import type { Terminal } from './terminal.ts'

/** Colours for stdout: on a terminal only, and not for those who said NO_COLOR (https://no-color.org). */
export function paint({ stdout, env }: Pick<Terminal, 'stdout' | 'env'>) {
  return picocolors.createColors(stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb')
}
