import { z } from 'zod'

/** kernels/<id>/kernel.json: what a guest kernel was made of. */
export const kernelRecordSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  release: z.string(),
  /** Debian's package that it came from, `name=version`; absent when the user brought it. */
  package: z.string().optional(),
  initrd_version: z.number().int(),
  /** sha256, hex. */
  vmlinuz_sha256: z.string(),
  initrd_sha256: z.string(),
  agent_sha256: z.string(),
  /** In load order. */
  modules: z.array(z.string()),
})

export type KernelRecord = z.infer<typeof kernelRecordSchema>
