import { z } from 'zod'
import { DurationText } from './texts.ts'
import { PruneQuery, PruneScope } from './usage.ts'

const oneOrMany = z.union([PruneScope.transform((scope) => [scope]), z.array(PruneScope)])

const wanted = z.strictObject({
  scope: oneOrMany.optional(),
  until: DurationText.optional(),
  log_tail_bytes: z.coerce.number().int().min(0).optional(),
  max_used_bytes: z.coerce.number().int().min(0).optional(),
  keep_free_bytes: z.coerce.number().int().min(0).optional(),
})

/** PruneQuery as a query string: `scope=images&scope=logs&dry_run=false&until=72h&log_tail_bytes=0&max_used_bytes=20000000000`. */
export const PruneParameters = wanted
  .extend({ dry_run: z.stringbool().default(true), plan_id: z.string().optional() })
  .transform(({ until, ...rest }) => PruneQuery.parse({ ...rest, until_ms: until }))

/** The same for who only asks for a plan: there is no way to say that it be carried out. */
export const PrunePlanParameters = wanted.transform(({ until, ...rest }) =>
  PruneQuery.parse({ ...rest, until_ms: until, dry_run: true }),
)

/** `since=7d`: so long ago. */
export const GrowthQuery = z.strictObject({ since: DurationText })
