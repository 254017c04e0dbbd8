import { z } from 'zod'

/** kernels/<id>/kernel.json: what a guest kernel was made of. It says nothing of when or where: the same parts give the same record. */
export const kernelRecordSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  release: z.string(),
  initrd_version: z.number().int(),
  /** sha256, hex. */
  vmlinuz_sha256: z.string(),
  initrd_sha256: z.string(),
  agent_sha256: z.string(),
  /** In load order. */
  modules: z.array(z.string()),
})

export type KernelRecord = z.infer<typeof kernelRecordSchema>
