import { z } from 'zod'
import { type ProblemCode, problemCodes } from '../base/index.ts'

const codes = Object.keys(problemCodes) as [ProblemCode, ...ProblemCode[]]

/** What every failed request is answered with. */
export const ErrorReply = z.object({
  error: z.object({
    code: z.enum(codes),
    message: z.string(),
    hint: z.string().optional(),
    data: z.record(z.string(), z.unknown()).optional(),
  }),
})
export type ErrorReply = z.infer<typeof ErrorReply>
