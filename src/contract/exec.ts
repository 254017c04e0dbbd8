import { z } from 'zod'

/**
 * The WebSocket of …/exec and …/shell. The client's first message is text, an ExecRequest as JSON. After that binary messages carry streams,
 * their first byte saying which, and text messages are control messages.
 */
export const ExecRequest = z.strictObject({
  argv: z.array(z.string()).min(1).optional(),
  env: z.record(z.string(), z.string()).default({}),
  cwd: z.string().optional(),
  user: z.string().optional(),
  /** With it the command runs on a pseudo terminal of that size and stderr is part of stdout. Without argv: the user's login shell. */
  tty: z.strictObject({ rows: z.int().min(1).max(65535), cols: z.int().min(1).max(65535) }).optional(),
  /** Whether the client will send stdin; otherwise the command reads end of file at once. */
  stdin: z.boolean().default(true),
})
export type ExecRequest = z.infer<typeof ExecRequest>

export const ExecControl = z.discriminatedUnion('type', [
  // client → server
  z.strictObject({ type: z.literal('stdin_end') }),
  z.strictObject({ type: z.literal('resize'), rows: z.int().min(1).max(65535), cols: z.int().min(1).max(65535) }),
  z.strictObject({ type: z.literal('signal'), signal: z.string() }),
  // server → client
  z.strictObject({ type: z.literal('started'), pid: z.int() }),
  /** As a shell says it: 126 or 127 for a program that cannot be run or found, 128 + n for one that signal n ended. */
  z.strictObject({ type: z.literal('exit'), code: z.int(), signal: z.string().optional() }),
  z.strictObject({
    type: z.literal('error'),
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
  }),
])
export type ExecControl = z.infer<typeof ExecControl>
