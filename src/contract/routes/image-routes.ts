import { z } from 'zod'
import { ImageHistoryReply } from '../image-history.ts'
import {
  BuildImageRequest,
  ImageDetail,
  ListImagesReply,
  LoadImageReply,
  LoadImageRequest,
  PinImageRequest,
  PublishImageReply,
  PublishImageRequest,
  PublishTracesReply,
  PublishTracesRequest,
  PullImageReply,
  PullImageRequest,
  PushImageReply,
  PushImageRequest,
  RemoveImageReply,
  SaveImageReply,
  SaveImageRequest,
  TagImageRequest,
} from '../images.ts'
import { VerifyImagesReply, VerifyImagesRequest } from '../verify.ts'
import { archiveCodes, registryCodes } from './problem-codes.ts'
import type { RouteTable } from './route-spec.ts'

const ImageRefQuery = z.strictObject({ ref: z.string().min(1) })

export const imageRoutes = {
  listImages: { kind: 'json', summary: 'Every image of this server', reply: ListImagesReply, codes: [] },
  inspectImage: {
    kind: 'json',
    summary: 'One image: its configuration and its layers',
    query: ImageRefQuery,
    reply: ImageDetail,
    codes: ['IMAGE_NOT_FOUND'],
  },
  imageHistory: {
    kind: 'json',
    summary: 'How an image came to be, the newest step first, and which step made which layer',
    query: ImageRefQuery,
    reply: ImageHistoryReply,
    codes: ['IMAGE_NOT_FOUND'],
  },
  readImageDocument: {
    kind: 'download',
    summary:
      'The manifest or index that a reference stands for, or the config of its image for this host, byte for byte',
    query: ImageRefQuery.extend({ which: z.enum(['root', 'config']).default('root') }),
    download: 'application/json',
    codes: ['IMAGE_NOT_FOUND', 'BLOB_NOT_FOUND', 'DIGEST_MISMATCH'],
  },
  removeImage: {
    kind: 'json',
    summary: 'Remove a tag, and what nothing else refers to',
    query: ImageRefQuery.extend({ force: z.stringbool().default(false) }),
    reply: RemoveImageReply,
    codes: ['IMAGE_NOT_FOUND', 'IMAGE_IN_USE', 'PINNED'],
  },
  tagImage: {
    kind: 'json',
    summary: 'Give an image one more name',
    body: TagImageRequest,
    codes: ['IMAGE_NOT_FOUND'],
  },
  pinImage: {
    kind: 'json',
    summary: 'Keep an image, and what is made from it, from being removed by anything',
    body: PinImageRequest,
    codes: ['IMAGE_NOT_FOUND', 'RECORD_INVALID'],
  },
  unpinImage: {
    kind: 'json',
    summary: 'Let a pinned image go again',
    body: PinImageRequest,
    codes: ['IMAGE_NOT_FOUND', 'RECORD_INVALID'],
  },
  pullImage: {
    kind: 'work',
    summary: 'Bring an image from its registry; what was fetched of one that fails is where the next pull goes on',
    body: PullImageRequest,
    reply: PullImageReply,
    codes: [
      ...registryCodes,
      'PLATFORM_NOT_FOUND',
      'IMAGE_INVALID',
      'IMAGE_UNSUPPORTED',
      'DIGEST_MISMATCH',
      'NO_SPACE',
    ],
  },
  pushImage: {
    kind: 'work',
    summary: 'Send an image to a registry, byte for byte',
    body: PushImageRequest,
    reply: PushImageReply,
    codes: [...registryCodes, 'IMAGE_NOT_FOUND', 'IMAGE_INCOMPLETE', 'DIGEST_MISMATCH'],
  },
  publishImage: {
    kind: 'work',
    summary: 'Put an image into a registry with the form that hosts boot from: other tools see the image alone',
    body: PublishImageRequest,
    reply: PublishImageReply,
    codes: [...registryCodes, 'IMAGE_NOT_FOUND', 'IMAGE_INCOMPLETE', 'NO_SPACE'],
  },
  publishTraces: {
    kind: 'work',
    summary: 'Publish what boots on this host have read of an image that is published: the image stays as it is',
    body: PublishTracesRequest,
    reply: PublishTracesReply,
    codes: [...registryCodes, 'PLATFORM_NOT_FOUND', 'IMAGE_UNSUPPORTED', 'FILE_NOT_FOUND', 'BOOT_TRACE_INVALID'],
  },
  loadImage: {
    kind: 'work',
    summary: 'Take in an image: a path on the server as JSON, or an archive as the body',
    query: z.strictObject({
      /** For an archive as the body. */
      tag: z.string().optional(),
    }),
    body: LoadImageRequest,
    upload: 'application/x-tar',
    reply: LoadImageReply,
    codes: [...archiveCodes, 'FILE_NOT_FOUND'],
  },
  buildImage: {
    kind: 'work',
    summary: 'Build an image of a Dockerfile on the server; what the builder prints comes as messages of the progress',
    body: BuildImageRequest,
    reply: LoadImageReply,
    codes: [...archiveCodes, 'FILE_NOT_FOUND', 'TOOL_NOT_FOUND', 'TOOL_FAILED', 'PERMISSION_DENIED'],
  },
  verifyImages: {
    kind: 'work',
    summary:
      'Read all that images have on disk and say what is damaged and how to mend it; with repair, mend what can be',
    body: VerifyImagesRequest,
    reply: VerifyImagesReply,
    codes: ['IMAGE_NOT_FOUND', 'RECORD_INVALID'],
  },
  saveImage: {
    kind: 'work',
    summary: 'Write images as an OCI archive to a path on the server',
    body: SaveImageRequest,
    reply: SaveImageReply,
    codes: ['IMAGE_NOT_FOUND', 'FILE_EXISTS', 'NO_SPACE'],
  },
  downloadImage: {
    kind: 'download',
    summary: 'Images as an OCI archive',
    query: z.strictObject({ ref: z.union([z.string().transform((ref) => [ref]), z.array(z.string()).min(1)]) }),
    download: 'application/x-tar',
    codes: ['IMAGE_NOT_FOUND'],
  },
} as const satisfies RouteTable
