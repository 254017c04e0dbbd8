import type { z } from 'zod'
import { Problem } from '../../base/index.ts'

type Part = 'path' | 'query' | 'body' | 'message'

/**
 * Parses one part of a request.
 *
 * @throws Problem INVALID_REQUEST naming each field that is wrong
 */
export function parsePart<T>(schema: z.ZodType<T>, value: unknown, part: Part): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.slice(0, 5).map((issue) => describe(issue, part))
  throw new Problem('INVALID_REQUEST', issues.join('; '), {
    data: { fields: parsed.error.issues.map((issue) => fieldOf(issue)) },
  })
}

function describe(issue: z.core.$ZodIssue, part: Part): string {
  const field = fieldOf(issue)
  return field === '' ? `${part}: ${issue.message}` : `${part} field ${field}: ${issue.message}`
}

function fieldOf({ path }: z.core.$ZodIssue): string {
  return path.map(String).join('.')
}
