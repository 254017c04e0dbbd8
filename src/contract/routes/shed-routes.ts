import { z } from 'zod'
import {
  CreateShedReply,
  CreateShedRequest,
  ForkShedReply,
  ForkShedRequest,
  ListShedsReply,
  SetLimitsRequest,
  Shed,
  StartShedRequest,
  StopShedRequest,
} from '../sheds.ts'
import { SetThermalRequest } from '../thermal.ts'
import { ForceQuery } from './force-query.ts'
import { guestCodes, mountCodes, shedCodes, startCodes, wakeCodes } from './problem-codes.ts'
import type { RouteTable } from './route-spec.ts'

export const shedRoutes = {
  listSheds: { kind: 'json', summary: 'Every shed, broken ones included', reply: ListShedsReply, codes: [] },
  createShed: {
    kind: 'work',
    summary: 'Make a shed from an image and start it; once more with the same settings changes nothing',
    body: CreateShedRequest,
    reply: CreateShedReply,
    codes: [
      'SHED_ALREADY_EXISTS',
      'SHED_BUSY',
      'SNAPSHOT_NOT_FOUND',
      'SNAPSHOT_BUSY',
      ...startCodes,
      ...mountCodes,
      ...wakeCodes,
      'VOLUME_ALREADY_EXISTS',
      'SECRET_NOT_FOUND',
    ],
  },
  getShed: { kind: 'json', summary: 'One shed', reply: Shed, codes: ['SHED_NOT_FOUND'] },
  deleteShed: {
    kind: 'json',
    summary: 'Delete a shed and its disk; a running one only with force',
    query: ForceQuery,
    codes: [...shedCodes, 'SHED_NOT_STOPPED', 'PINNED'],
  },
  startShed: {
    kind: 'work',
    summary: 'Start a shed; one that stands still or sleeps goes on where it was',
    body: StartShedRequest,
    reply: Shed,
    codes: [...shedCodes, ...startCodes, ...mountCodes, ...wakeCodes],
  },
  stopShed: {
    kind: 'work',
    summary:
      'Shut a shed down, and kill it when it has not by the deadline; or let it sleep, with all that is in its memory',
    body: StopShedRequest,
    reply: Shed,
    codes: [...shedCodes, 'SHED_NOT_RUNNING', 'MACHINE_FAILED', 'NO_SPACE', ...wakeCodes],
  },
  pauseShed: {
    kind: 'json',
    summary: 'Have a running shed stand still: its VM stays, and takes no processor; use of it has it go on',
    reply: Shed,
    codes: [...shedCodes, 'SHED_NOT_RUNNING', 'MACHINE_FAILED', 'NO_SPACE'],
  },
  wakeShed: {
    kind: 'work',
    summary: 'Have a shed that stands still or sleeps go on where it was; one that runs already is as it was',
    reply: Shed,
    codes: [...shedCodes, 'SHED_NOT_RUNNING', ...startCodes, ...wakeCodes],
  },
  forkShed: {
    kind: 'work',
    summary: 'Make running copies of a shed that go on where it is, with disks of their own; all of them, or none',
    body: ForkShedRequest,
    reply: ForkShedReply,
    codes: [
      ...shedCodes,
      'SHED_ALREADY_EXISTS',
      ...startCodes,
      ...mountCodes,
      ...wakeCodes,
      'VOLUME_ALREADY_EXISTS',
      'AGENT_UNREACHABLE',
      'GUEST_FAILED',
      'SECRET_NOT_FOUND',
    ],
  },
  resetShed: {
    kind: 'work',
    summary: 'Put a shed back to its image: everything written to its disk goes',
    reply: Shed,
    codes: [...shedCodes, ...startCodes, 'PINNED'],
  },
  protectShed: {
    kind: 'json',
    summary: 'Keep a shed and what is on its disk from being removed by anything',
    reply: Shed,
    codes: shedCodes,
  },
  unprotectShed: { kind: 'json', summary: 'Let a protected shed go again', reply: Shed, codes: shedCodes },
  setShed: {
    kind: 'json',
    summary: 'Say what becomes of a shed that nobody uses',
    body: SetThermalRequest,
    reply: Shed,
    codes: shedCodes,
  },
  setShedLimits: {
    kind: 'json',
    summary: 'Say what a stopped shed may have of its host from its next start on',
    body: SetLimitsRequest,
    reply: Shed,
    codes: [...shedCodes, 'SHED_NOT_STOPPED', 'EXT4_INVALID', 'NO_SPACE'],
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
} as const satisfies RouteTable
