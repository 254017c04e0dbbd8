import { z } from 'zod'
import { isProblem, parseDuration, parseSize } from '../base/index.ts'

/** `72h`, `90m`, `0s`; milliseconds when it was read. */
export const DurationText = parsedBy(parseDuration, 'not a duration')

/** `20GB`, `512MiB`; bytes when it was read. */
export const SizeText = parsedBy(parseSize, 'not a size')

/** Text of which a parser knows what it says; `otherwise` is the complaint when the parser has none of its own. */
function parsedBy(parse: (text: string) => number, otherwise: string) {
  return z.string().transform((text, context) => {
    try {
      return parse(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: isProblem(error) ? error.message : otherwise })
      return z.NEVER
    }
  })
}
