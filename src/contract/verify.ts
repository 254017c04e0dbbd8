import { z } from 'zod'

export const VerifyImagesRequest = z.strictObject({
  /** Every image when there are none. */
  refs: z.array(z.string()).default([]),
  /** Make again what is damaged and can be made of what is intact. */
  repair: z.boolean().default(false),
})
export type VerifyImagesRequest = z.infer<typeof VerifyImagesRequest>

export const ImageFinding = z.object({
  /** A blob of the store; the files of a layer, the lower of an image, or the ext4 that its sheds are cloned from: all made of blobs. */
  kind: z.enum(['blob', 'layer', 'lower', 'rootfs']),
  /** Of the blob, of the layer's content, or of the manifest. */
  digest: z.string(),
  path: z.string(),
  /** Whom it concerns: a tag of each image, or its digest. */
  images: z.array(z.string()),
  message: z.string(),
  /** What to type to mend it. */
  mend: z.string(),
  /** Whether it was mended. */
  repaired: z.boolean(),
})
export type ImageFinding = z.infer<typeof ImageFinding>

export const VerifyImagesReply = z.object({
  checked: z.object({
    images: z.int(),
    blobs: z.int(),
    layers: z.int(),
    lowers: z.int(),
    rootfs: z.int(),
    /** Bytes that were read. */
    bytes: z.int(),
  }),
  findings: z.array(ImageFinding),
  /** What could not be looked at as closely as the rest. */
  notes: z.array(z.string()),
})
export type VerifyImagesReply = z.infer<typeof VerifyImagesReply>
