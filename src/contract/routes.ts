import { z } from 'zod'
import type { ProblemCode } from '../base/index.ts'
import { type Endpoint, endpoints, type RouteName } from './endpoints.ts'
import {
  GuestDirectory,
  GuestFile,
  GuestPathQuery,
  MakeGuestFileRequest,
  RemoveGuestFileQuery,
  StatGuestFileQuery,
  WriteGuestFileQuery,
} from './files.ts'
import { ImageHistoryReply } from './image-history.ts'
import {
  BuildImageRequest,
  ImageDetail,
  ListImagesReply,
  LoadImageReply,
  LoadImageRequest,
  PublishImageReply,
  PublishImageRequest,
  PullImageReply,
  PullImageRequest,
  PushImageReply,
  PushImageRequest,
  RemoveImageReply,
  SaveImageReply,
  SaveImageRequest,
  TagImageRequest,
} from './images.ts'
import { PruneParameters } from './prune-parameters.ts'
import { DoctorReport, EventsReply, ServerInfo, SetupReply, SetupRequest } from './server.ts'
import {
  AddForwardRequest,
  CreateShedReply,
  CreateShedRequest,
  Forward,
  ListForwardsReply,
  ListShedsReply,
  Shed,
  StopShedRequest,
} from './sheds.ts'
import { ExplainQuery, PruneReport, UsageExplained, UsageReport } from './usage.ts'
import { VerifyImagesReply, VerifyImagesRequest } from './verify.ts'

/**
 * How a route speaks.
 * - `json`: answers once.
 * - `work`: answers once, or with `Accept: text/event-stream` streams `progress` events and ends with `complete` or `error`.
 * - `download`: answers with bytes.
 * - `events`: answers with JSON, or with `Accept: text/event-stream` with events as they happen.
 * - `socket`: a WebSocket; see exec.ts.
 */
export type RouteKind = 'json' | 'work' | 'download' | 'events' | 'socket'

export interface RouteSpec {
  readonly kind: RouteKind
  readonly summary: string
  readonly query?: z.ZodType
  /** JSON body. */
  readonly body?: z.ZodType
  /** Media type of a raw body, instead of or besides a JSON one. */
  readonly upload?: string
  /** JSON reply; without it the answer is 204 with no body. */
  readonly reply?: z.ZodType
  /** Media type of a `download`. */
  readonly download?: string
  /** What can go wrong here beyond what can go wrong with any request. */
  readonly codes: readonly ProblemCode[]
}

const shedCodes = ['SHED_NOT_FOUND', 'SHED_BUSY', 'SHED_BROKEN'] as const
const startCodes = ['KERNEL_NOT_FOUND', 'IMAGE_NOT_FOUND', 'BOOT_FAILED', 'MACHINE_FAILED', 'NO_SPACE'] as const
const guestCodes = ['SHED_NOT_FOUND', 'SHED_NOT_RUNNING', 'AGENT_UNREACHABLE', 'AGENT_PROTOCOL'] as const
const archiveCodes = ['IMAGE_INVALID', 'IMAGE_UNSUPPORTED', 'TAR_INVALID', 'DIGEST_MISMATCH', 'NO_SPACE'] as const
const registryCodes = [
  'REGISTRY_UNREACHABLE',
  'REGISTRY_UNAUTHORIZED',
  'REGISTRY_NOT_FOUND',
  'REGISTRY_THROTTLED',
  'REGISTRY_FAILED',
] as const

/** Parameters in paths, by name: what they must look like. */
export const pathParameters = {
  name: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 of a-z, 0-9 and -'),
  host_port: z.coerce.number().int().min(1).max(65535),
} as const

const ImageRefQuery = z.strictObject({ ref: z.string().min(1) })
const ForceQuery = z.strictObject({ force: z.stringbool().default(false) })

/** What goes in and out of each route. The daemon registers its handlers from this table and OpenAPI is written from it. */
export const routes = {
  getInfo: { kind: 'json', summary: 'Which daemon this is', reply: ServerInfo, codes: [] },
  getOpenApi: {
    kind: 'json',
    summary: 'This description',
    reply: z.record(z.string(), z.unknown()),
    codes: [],
  },

  listSheds: { kind: 'json', summary: 'Every shed, broken ones included', reply: ListShedsReply, codes: [] },
  createShed: {
    kind: 'work',
    summary: 'Make a shed from an image and start it; once more with the same settings changes nothing',
    body: CreateShedRequest,
    reply: CreateShedReply,
    codes: ['SHED_ALREADY_EXISTS', 'SHED_BUSY', ...startCodes],
  },
  getShed: { kind: 'json', summary: 'One shed', reply: Shed, codes: ['SHED_NOT_FOUND'] },
  deleteShed: {
    kind: 'json',
    summary: 'Delete a shed and its disk; a running one only with force',
    query: ForceQuery,
    codes: [...shedCodes, 'SHED_NOT_STOPPED'],
  },
  startShed: { kind: 'work', summary: 'Start a shed', reply: Shed, codes: [...shedCodes, ...startCodes] },
  stopShed: {
    kind: 'work',
    summary: 'Shut a shed down, and kill it when it has not by the deadline',
    body: StopShedRequest,
    reply: Shed,
    codes: shedCodes,
  },
  resetShed: {
    kind: 'work',
    summary: 'Put a shed back to its image: everything written to its disk goes',
    reply: Shed,
    codes: [...shedCodes, ...startCodes],
  },
  execInShed: { kind: 'socket', summary: 'Run a program in a shed', codes: guestCodes },
  shellInShed: { kind: 'socket', summary: 'A login shell in a shed', codes: guestCodes },
  readLogs: {
    kind: 'download',
    summary: 'The serial console of a shed; with follow, what comes too',
    query: z.strictObject({
      follow: z.stringbool().default(false),
      /** Only the last so many lines. */
      tail: z.coerce.number().int().min(0).optional(),
    }),
    download: 'text/plain; charset=utf-8',
    codes: ['SHED_NOT_FOUND'],
  },

  readGuestFile: {
    kind: 'download',
    summary: 'The content of a file in a shed',
    query: GuestPathQuery,
    download: 'application/octet-stream',
    codes: [...guestCodes, 'GUEST_FILE_NOT_FOUND', 'GUEST_FAILED'],
  },
  statGuestFile: {
    kind: 'json',
    summary: 'What is at a path in a shed',
    query: StatGuestFileQuery,
    reply: GuestFile,
    codes: [...guestCodes, 'GUEST_FILE_NOT_FOUND', 'GUEST_FAILED'],
  },
  listGuestDirectory: {
    kind: 'json',
    summary: 'The entries of a directory in a shed',
    query: GuestPathQuery,
    reply: GuestDirectory,
    codes: [...guestCodes, 'GUEST_FILE_NOT_FOUND', 'GUEST_FAILED'],
  },
  writeGuestFile: {
    kind: 'json',
    summary: 'Write a file in a shed, replacing one that is there',
    query: WriteGuestFileQuery,
    upload: 'application/octet-stream',
    codes: [...guestCodes, 'GUEST_FILE_NOT_FOUND', 'GUEST_FAILED'],
  },
  makeGuestFile: {
    kind: 'json',
    summary: 'Make a directory or a symbolic link in a shed',
    body: MakeGuestFileRequest,
    codes: [...guestCodes, 'GUEST_FAILED'],
  },
  removeGuestFile: {
    kind: 'json',
    summary: 'Remove a file in a shed',
    query: RemoveGuestFileQuery,
    codes: [...guestCodes, 'GUEST_FILE_NOT_FOUND', 'GUEST_FAILED'],
  },

  listForwards: {
    kind: 'json',
    summary: 'The ports of a shed that can be reached from the host',
    reply: ListForwardsReply,
    codes: ['SHED_NOT_FOUND'],
  },
  addForward: {
    kind: 'json',
    summary: 'Make a port of a running shed reachable on 127.0.0.1; host_port 0 chooses a free one',
    body: AddForwardRequest,
    reply: Forward,
    codes: ['SHED_NOT_FOUND', 'SHED_NOT_RUNNING', 'PORT_IN_USE'],
  },
  removeForward: {
    kind: 'json',
    summary: 'Close a forwarded port',
    codes: ['SHED_NOT_FOUND', 'FORWARD_NOT_FOUND'],
  },

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
    codes: ['IMAGE_NOT_FOUND', 'IMAGE_IN_USE'],
  },
  tagImage: {
    kind: 'json',
    summary: 'Give an image one more name',
    body: TagImageRequest,
    codes: ['IMAGE_NOT_FOUND'],
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

  getUsage: { kind: 'json', summary: 'What holds which bytes', reply: UsageReport, codes: ['RECORD_INVALID'] },
  explainUsage: {
    kind: 'json',
    summary: 'Who shares what with one image, shed or file',
    query: ExplainQuery,
    reply: UsageExplained,
    codes: ['FILE_NOT_FOUND', 'RECORD_INVALID'],
  },
  prune: {
    kind: 'work',
    summary: 'What could be removed (a dry run unless told otherwise), or its removal',
    query: PruneParameters,
    reply: PruneReport,
    codes: ['PLAN_CHANGED', 'RECORD_INVALID'],
  },
  runDoctor: { kind: 'json', summary: 'Whether this host has what sheds need', reply: DoctorReport, codes: [] },
  fixHost: {
    kind: 'work',
    summary: 'The same, after doing about it what can be done without harm: `fixed` says what that was',
    reply: DoctorReport,
    codes: [],
  },
  setUp: {
    kind: 'work',
    summary: 'Get a guest kernel, build its initrd, and see how fast this host can run it',
    body: SetupRequest,
    reply: SetupReply,
    codes: ['KERNEL_INVALID', 'TOOL_NOT_FOUND', 'TOOL_FAILED', 'NO_SPACE'],
  },
  readEvents: {
    kind: 'events',
    summary: 'What happened, from after a sequence number on',
    query: z.strictObject({
      after: z.coerce.number().int().min(0).optional(),
      /** Of those, the newest so many. */
      limit: z.coerce.number().int().min(0).max(10_000).default(1000),
    }),
    reply: EventsReply,
    codes: [],
  },
} as const satisfies Record<RouteName, RouteSpec>

type Routes = typeof routes

/** The names of the `:parameters` of a path. */
type ParameterNames<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParameterNames<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never

type PathOf<N extends RouteName> = (typeof endpoints)[N]['path']
type Part<N extends RouteName, K extends keyof RouteSpec> = Routes[N] extends {
  readonly [P in K]: infer T extends z.ZodType
}
  ? T
  : undefined

/** What a client gives. */
export type PathInput<N extends RouteName> = { readonly [P in ParameterNames<PathOf<N>>]: string | number }
export type QueryInput<N extends RouteName> = InputOf<Part<N, 'query'>>
export type BodyInput<N extends RouteName> = InputOf<Part<N, 'body'>>
/** What a handler gets. */
export type PathOutput<N extends RouteName> = {
  readonly [P in ParameterNames<PathOf<N>> & keyof typeof pathParameters]: z.output<(typeof pathParameters)[P]>
}
export type QueryOutput<N extends RouteName> = OutputOf<Part<N, 'query'>>
export type BodyOutput<N extends RouteName> = OutputOf<Part<N, 'body'>>
/** What a handler answers, and a client gets. */
export type ReplyOf<N extends RouteName> = Part<N, 'reply'> extends z.ZodType ? z.output<Part<N, 'reply'>> : undefined

type InputOf<T> = T extends z.ZodType ? z.input<T> : undefined
type OutputOf<T> = T extends z.ZodType ? z.output<T> : undefined

export interface Route extends RouteSpec, Endpoint {
  readonly name: RouteName
}

/** Every route as a value: where it is and what goes in and out. */
export function allRoutes(): Route[] {
  return (Object.keys(routes) as RouteName[]).map((name) => ({
    name,
    ...endpoints[name],
    ...(routes[name] as RouteSpec),
  }))
}
