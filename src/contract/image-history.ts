import { z } from 'zod'

export const ImageHistoryStep = z.object({
  /** The layer that this step made, counted from 1 at the bottom; absent for a step without one, and where it cannot be told. */
  layer: z.int().optional(),
  digest: z.string().optional(),
  diff_id: z.string().optional(),
  /** Of the layer as it is stored; 0 without one. */
  size_bytes: z.int(),
  created_at: z.string().optional(),
  created_by: z.string().optional(),
  author: z.string().optional(),
  comment: z.string().optional(),
  /** What the history says of it: a step that changed no file. */
  empty_layer: z.boolean(),
})
export type ImageHistoryStep = z.infer<typeof ImageHistoryStep>

export const ImageHistoryReply = z.object({
  manifest_digest: z.string(),
  /** The newest first. */
  history: z.array(ImageHistoryStep),
  /** Why it cannot be told which step made which layer. */
  problem: z.string().optional(),
})
export type ImageHistoryReply = z.infer<typeof ImageHistoryReply>
