import {
  GuestDirectory,
  GuestFile,
  GuestPathQuery,
  MakeGuestFileRequest,
  RemoveGuestFileQuery,
  StatGuestFileQuery,
  WriteGuestFileQuery,
} from '../files.ts'
import { guestCodes } from './problem-codes.ts'
import type { RouteTable } from './route-spec.ts'

export const fileRoutes = {
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
} as const satisfies RouteTable
