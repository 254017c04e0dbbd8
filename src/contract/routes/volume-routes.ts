import { Shed } from '../sheds.ts'
import {
  AttachVolumeRequest,
  CloneVolumeRequest,
  CreateVolumeReply,
  CreateVolumeRequest,
  ListVolumesReply,
  ResizeVolumeReply,
  ResizeVolumeRequest,
  Volume,
} from '../volumes.ts'
import { ForceQuery } from './force-query.ts'
import { mountCodes, shedCodes } from './problem-codes.ts'
import type { RouteTable } from './route-spec.ts'

export const volumeRoutes = {
  attachVolume: {
    kind: 'json',
    summary: 'Give a stopped shed a volume: to write to it alone, or to read it like any number of others',
    body: AttachVolumeRequest,
    reply: Shed,
    codes: [...shedCodes, 'SHED_NOT_STOPPED', ...mountCodes],
  },
  detachVolume: {
    kind: 'json',
    summary: 'Take a volume from a stopped shed',
    reply: Shed,
    codes: [...shedCodes, 'SHED_NOT_STOPPED', 'VOLUME_NOT_FOUND'],
  },
  listVolumes: { kind: 'json', summary: 'Every volume, broken ones included', reply: ListVolumesReply, codes: [] },
  createVolume: {
    kind: 'json',
    summary: 'Make an empty volume; once more with the same size changes nothing',
    body: CreateVolumeRequest,
    reply: CreateVolumeReply,
    codes: ['VOLUME_ALREADY_EXISTS', 'TOOL_NOT_FOUND', 'NO_SPACE'],
  },
  getVolume: { kind: 'json', summary: 'One volume', reply: Volume, codes: ['VOLUME_NOT_FOUND'] },
  removeVolume: {
    kind: 'json',
    summary: 'Remove a volume that no shed has; one whose record or disk is missing only with force',
    query: ForceQuery,
    codes: ['VOLUME_NOT_FOUND', 'VOLUME_IN_USE', 'PINNED', 'RECORD_INVALID'],
  },
  resizeVolume: {
    kind: 'json',
    summary: 'Make a volume larger; a running guest that has it to write sees it at once',
    body: ResizeVolumeRequest,
    reply: ResizeVolumeReply,
    codes: ['VOLUME_NOT_FOUND', 'VOLUME_IN_USE', 'GUEST_FAILED', 'AGENT_UNREACHABLE', 'NO_SPACE'],
  },
  cloneVolume: {
    kind: 'work',
    summary: 'Make a volume with what another one has; a running guest is frozen for it where files share extents',
    body: CloneVolumeRequest,
    reply: Volume,
    codes: ['VOLUME_NOT_FOUND', 'VOLUME_ALREADY_EXISTS', 'VOLUME_IN_USE', 'AGENT_UNREACHABLE', 'NO_SPACE'],
  },
  protectVolume: {
    kind: 'json',
    summary: 'Keep a volume from being removed by anything',
    reply: Volume,
    codes: ['VOLUME_NOT_FOUND'],
  },
  unprotectVolume: {
    kind: 'json',
    summary: 'Let a protected volume go again',
    reply: Volume,
    codes: ['VOLUME_NOT_FOUND'],
  },
} as const satisfies RouteTable
