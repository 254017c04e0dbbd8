import { z } from 'zod'
import { type ProblemCode, problemCodes } from '../base/index.ts'
import * as backups from './backups.ts'
import * as dedupe from './dedupe.ts'
import { ErrorReply } from './errors.ts'
import { ExecControl, ExecRequest } from './exec.ts'
import { GuestDirectory, GuestFile, MakeGuestFileRequest } from './files.ts'
import { ImageHistoryReply, ImageHistoryStep } from './image-history.ts'
import * as images from './images.ts'
import * as lazy from './lazy.ts'
import { pathParameters } from './path-parameters.ts'
import { allRoutes, type Route } from './routes.ts'
import * as secrets from './secrets.ts'
import * as server from './server.ts'
import * as sheds from './sheds.ts'
import * as snapshots from './snapshots.ts'
import * as thermal from './thermal.ts'
import * as tokens from './tokens.ts'
import * as trim from './trim.ts'
import * as usage from './usage.ts'
import * as verify from './verify.ts'
import * as volumes from './volumes.ts'

type Json = Record<string, unknown>
type JsonSchema = z.core.JSONSchema.BaseSchema

/** Shapes that clients send: their defaults make fields optional. */
const requests = {
  ExecRequest,
  MakeGuestFileRequest,
  AddForwardRequest: sheds.AddForwardRequest,
  AttachVolumeRequest: volumes.AttachVolumeRequest,
  BackupSnapshotRequest: backups.BackupSnapshotRequest,
  BackupVolumeRequest: backups.BackupVolumeRequest,
  BuildImageRequest: images.BuildImageRequest,
  CloneVolumeRequest: volumes.CloneVolumeRequest,
  CreateShedRequest: sheds.CreateShedRequest,
  CreateSnapshotRequest: snapshots.CreateSnapshotRequest,
  CreateTokenRequest: tokens.CreateTokenRequest,
  CreateVolumeRequest: volumes.CreateVolumeRequest,
  DedupeRequest: dedupe.DedupeRequest,
  GiveSecretRequest: secrets.GiveSecretRequest,
  ImportBackupKeyRequest: backups.ImportBackupKeyRequest,
  LoadImageRequest: images.LoadImageRequest,
  PinImageRequest: images.PinImageRequest,
  PruneBackupsRequest: backups.PruneBackupsRequest,
  PullImageRequest: images.PullImageRequest,
  PushImageRequest: images.PushImageRequest,
  ResizeVolumeRequest: volumes.ResizeVolumeRequest,
  RestoreSnapshotRequest: backups.RestoreSnapshotRequest,
  RestoreVolumeRequest: backups.RestoreVolumeRequest,
  SaveImageRequest: images.SaveImageRequest,
  SetupRequest: server.SetupRequest,
  SetLimitsRequest: sheds.SetLimitsRequest,
  SetThermalRequest: thermal.SetThermalRequest,
  ForkShedReply: sheds.ForkShedReply,
  ForkShedRequest: sheds.ForkShedRequest,
  StartShedRequest: sheds.StartShedRequest,
  StopShedRequest: sheds.StopShedRequest,
  TagImageRequest: images.TagImageRequest,
  TrimRequest: trim.TrimRequest,
  VerifyBackupsRequest: backups.VerifyBackupsRequest,
  VerifyImagesRequest: verify.VerifyImagesRequest,
}

/** Shapes that the server sends. */
const replies = {
  BackupKeyReply: backups.BackupKeyReply,
  BackupSummary: backups.BackupSummary,
  CowshedEvent: server.CowshedEvent,
  CreateShedReply: sheds.CreateShedReply,
  CreateTokenReply: tokens.CreateTokenReply,
  CreateVolumeReply: volumes.CreateVolumeReply,
  DedupeReport: dedupe.DedupeReport,
  DoctorReport: server.DoctorReport,
  ImportBackupKeyReply: backups.ImportBackupKeyReply,
  ListBackupsReply: backups.ListBackupsReply,
  PruneBackupsReply: backups.PruneBackupsReply,
  VerifyBackupsReply: backups.VerifyBackupsReply,
  ErrorReply,
  EventsReply: server.EventsReply,
  ExecControl,
  Forward: sheds.Forward,
  GuestDirectory,
  GuestFile,
  ImageDetail: images.ImageDetail,
  ImageFinding: verify.ImageFinding,
  ImageHistoryReply,
  ImageHistoryStep,
  ImageSummary: images.ImageSummary,
  LazyCounts: lazy.LazyCounts,
  LazyHeat: lazy.LazyHeat,
  LazyImage: lazy.LazyImage,
  LazyProgress: lazy.LazyProgress,
  ListForwardsReply: sheds.ListForwardsReply,
  ListImagesReply: images.ListImagesReply,
  ListLazyReply: lazy.ListLazyReply,
  ListSecretsReply: secrets.ListSecretsReply,
  ListShedsReply: sheds.ListShedsReply,
  ListTokensReply: tokens.ListTokensReply,
  ImportSnapshotReply: snapshots.ImportSnapshotReply,
  ListSnapshotsReply: snapshots.ListSnapshotsReply,
  ListVolumesReply: volumes.ListVolumesReply,
  LoadImageReply: images.LoadImageReply,
  ProgressEvent: server.ProgressEvent,
  PruneReport: usage.PruneReport,
  PullImageReply: images.PullImageReply,
  PushImageReply: images.PushImageReply,
  PublishImageRequest: images.PublishImageRequest,
  PublishImageReply: images.PublishImageReply,
  PublishTracesRequest: images.PublishTracesRequest,
  PublishTracesReply: images.PublishTracesReply,
  RemoveImageReply: images.RemoveImageReply,
  ResizeVolumeReply: volumes.ResizeVolumeReply,
  SaveImageReply: images.SaveImageReply,
  ServerInfo: server.ServerInfo,
  SetSecretReply: secrets.SetSecretReply,
  SetupReply: server.SetupReply,
  Shed: sheds.Shed,
  Snapshot: snapshots.Snapshot,
  SnapshotDetail: snapshots.SnapshotDetail,
  TokenSummary: tokens.TokenSummary,
  TrimReport: trim.TrimReport,
  UsageExplained: usage.UsageExplained,
  UsageGrowth: usage.UsageGrowth,
  UsageReport: usage.UsageReport,
  VerifyImagesReply: verify.VerifyImagesReply,
  Volume: volumes.Volume,
}

/** Codes that any route may answer with. */
const everywhere: readonly ProblemCode[] = [
  'INVALID_REQUEST',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'TOO_MANY_ATTEMPTS',
  'IO_FAILED',
  'INTERNAL',
]

/**
 * The API as an OpenAPI 3.1 document, written from the table of routes.
 *
 * @see https://spec.openapis.org/oas/v3.1.0
 */
export function openApi(version: string): Json {
  const paths: Record<string, Json> = {}
  for (const route of allRoutes()) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'cowshed',
      version,
      description:
        'MicroVM sandboxes whose disks are copy-on-write over OCI images. Bytes are integers, times are ISO 8601 in UTC.',
    },
    servers: [
      {
        url: 'http://localhost',
        description: 'over the unix socket daemon.sock in the data directory, without a token',
      },
      {
        url: 'https://{host}:{port}',
        description: 'over the network',
        variables: { host: { default: 'localhost' }, port: { default: '7443' } },
      },
    ],
    security: [{ token: [] }, {}],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { ...componentSchemas(requests, 'input'), ...componentSchemas(replies, 'output') },
    },
  }
}

function operation(route: Route): Json {
  const body = requestBody(route)
  return {
    operationId: route.name,
    summary: route.summary,
    tags: [route.path.split('/')[2]],
    parameters: [...pathParametersOf(route), ...queryParametersOf(route)],
    ...(body === undefined ? {} : { requestBody: body }),
    responses: { ...success(route), ...failures(route) },
  }
}

function pathParametersOf(route: Route): Json[] {
  return [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: inline(pathParameters[name as keyof typeof pathParameters], 'output'),
  }))
}

function queryParametersOf(route: Route): Json[] {
  if (route.query === undefined) return []
  const { properties = {}, required = [] } = inline(route.query, 'input')
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }))
}

function requestBody({ kind, body, upload }: Route): Json | undefined {
  if (kind === 'socket' || (body === undefined && upload === undefined)) return undefined
  return {
    content: {
      ...(body === undefined ? {} : { 'application/json': { schema: reference(body, 'input') } }),
      ...(upload === undefined ? {} : { [upload]: { schema: { type: 'string', format: 'binary' } } }),
    },
  }
}

function success(route: Route): Json {
  if (route.kind === 'socket') {
    return {
      101: { description: 'A WebSocket: an ExecRequest as text first, then streams as binary and ExecControl as text' },
    }
  }
  if (route.kind === 'download') {
    return { 200: { description: 'The bytes', content: { [route.download ?? 'application/octet-stream']: {} } } }
  }
  if (route.reply === undefined) return { 204: { description: 'Done' } }
  const json = { 'application/json': { schema: reference(route.reply, 'output') } }
  return { 200: { description: 'Done', content: { ...json, ...eventStream(route) } } }
}

function eventStream({ kind }: Route): Json {
  const streams: Partial<Record<Route['kind'], string>> = {
    work: 'Any number of `progress` events (ProgressEvent), then one `complete` (the JSON reply) or one `error` (ErrorReply)',
    events: 'CowshedEvents, `id` their seq: those after the given one, then each as it happens',
  }
  const description = streams[kind]
  return description === undefined ? {} : { 'text/event-stream': { schema: { type: 'string', description } } }
}

/** One response for each status, naming the codes that come with it. */
function failures(route: Route): Json {
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of new Set([...route.codes, ...everywhere])) {
    const { status } = problemCodes[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  const content = { 'application/json': { schema: { $ref: '#/components/schemas/ErrorReply' } } }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, codes]) => [status, { description: codes.join(', '), content }]),
  )
}

function reference(schema: z.ZodType, io: 'input' | 'output'): Json {
  const named = Object.entries<z.ZodType>({ ...requests, ...replies }).find(([, candidate]) => candidate === schema)
  return named === undefined ? { ...inline(schema, io) } : { $ref: `#/components/schemas/${named[0]}` }
}

function inline(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}

function componentSchemas(schemas: Record<string, z.ZodType>, io: 'input' | 'output'): Json {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id })
  const written = z.toJSONSchema(registry, { io, uri: (id) => `#/components/schemas/${id}` }).schemas
  return Object.fromEntries(Object.entries(written).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]))
}
