import { z } from 'zod'
import { isProblem, parseDuration } from '../base/index.ts'
import { PruneQuery, PruneScope } from './usage.ts'

const oneOrMany = z.union([PruneScope.transform((scope) => [scope]), z.array(PruneScope)])

/** `72h`, `90m`, `0s`. */
const DurationText = z.string().transform((text, context) => {
  try {
    return parseDuration(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: isProblem(error) ? error.message : 'not a duration' })
    return z.NEVER
  }
})

/** PruneQuery as a query string: `scope=images&scope=logs&dry_run=false&until=72h&log_tail_bytes=0&max_used_bytes=20000000000`. */
export const PruneParameters = z
  .strictObject({
    scope: oneOrMany.optional(),
    dry_run: z.stringbool().default(true),
    until: DurationText.optional(),
    log_tail_bytes: z.coerce.number().int().min(0).optional(),
    max_used_bytes: z.coerce.number().int().min(0).optional(),
    keep_free_bytes: z.coerce.number().int().min(0).optional(),
    plan_id: z.string().optional(),
  })
  .transform(({ until, ...rest }) => PruneQuery.parse({ ...rest, until_ms: until }))
