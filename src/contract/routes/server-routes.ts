import { z } from 'zod'
import { DoctorReport, EventsReply, ServerInfo, SetupReply, SetupRequest } from '../server.ts'
import type { RouteTable } from './route-spec.ts'

export const serverRoutes = {
  getInfo: { kind: 'json', summary: 'Which daemon this is', reply: ServerInfo, codes: [] },
  getOpenApi: {
    kind: 'json',
    summary: 'This description',
    reply: z.record(z.string(), z.unknown()),
    codes: [],
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
  readMetrics: {
    kind: 'download',
    summary: 'Counters and gauges of this daemon and of what it serves, for Prometheus',
    download: 'text/plain; version=0.0.4; charset=utf-8',
    codes: [],
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
} as const satisfies RouteTable
