import { DedupeReport, DedupeRequest } from '../dedupe.ts'
import { GrowthQuery, PruneParameters, PrunePlanParameters } from '../prune-parameters.ts'
import { TrimReport, TrimRequest } from '../trim.ts'
import { ExplainQuery, PruneReport, UsageExplained, UsageGrowth, UsageReport } from '../usage.ts'
import type { RouteTable } from './route-spec.ts'

export const usageRoutes = {
  getUsage: { kind: 'json', summary: 'What holds which bytes', reply: UsageReport, codes: ['RECORD_INVALID'] },
  explainUsage: {
    kind: 'json',
    summary: 'Who shares what with one image, shed or file',
    query: ExplainQuery,
    reply: UsageExplained,
    codes: ['FILE_NOT_FOUND', 'RECORD_INVALID'],
  },
  usageGrowth: {
    kind: 'json',
    summary: 'How what is on disk has changed since a time: what is new, has grown, has shrunk, or is gone',
    query: GrowthQuery,
    reply: UsageGrowth,
    codes: ['USAGE_NOT_SAMPLED', 'RECORD_INVALID'],
  },
  planPrune: {
    kind: 'work',
    summary: 'What could be removed; who may only look may ask for it',
    query: PrunePlanParameters,
    reply: PruneReport,
    codes: ['RECORD_INVALID'],
  },
  prune: {
    kind: 'work',
    summary: 'What could be removed (a dry run unless told otherwise), or its removal',
    query: PruneParameters,
    reply: PruneReport,
    codes: ['PLAN_CHANGED', 'RECORD_INVALID'],
  },
  dedupe: {
    kind: 'work',
    summary:
      'What disks have in common (a dry run unless told otherwise), or having it on disk only once; contents stay as they are',
    body: DedupeRequest,
    reply: DedupeReport,
    codes: ['SHED_NOT_FOUND', 'HOST_UNSUPPORTED', 'RECORD_INVALID', 'NO_SPACE'],
  },
  trim: {
    kind: 'work',
    summary:
      'What the filesystems of sheds have free and the host has blocks for (a dry run unless told otherwise), or giving that back',
    body: TrimRequest,
    reply: TrimReport,
    codes: ['SHED_NOT_FOUND', 'RECORD_INVALID'],
  },
} as const satisfies RouteTable
