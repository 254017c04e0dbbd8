import { GiveSecretRequest, ListSecretsReply, SetSecretReply } from '../secrets.ts'
import { Shed } from '../sheds.ts'
import { ForceQuery } from './force-query.ts'
import { shedCodes } from './problem-codes.ts'
import type { RouteTable } from './route-spec.ts'

export const secretRoutes = {
  listSecrets: {
    kind: 'json',
    summary: 'The names of all secrets, and who is given them; no value is ever answered',
    reply: ListSecretsReply,
    codes: [],
  },
  setSecret: {
    kind: 'json',
    summary: 'Give a secret a value: the body, byte for byte',
    upload: 'application/octet-stream',
    reply: SetSecretReply,
    codes: ['RECORD_INVALID', 'PERMISSION_DENIED', 'NO_SPACE'],
  },
  removeSecret: {
    kind: 'json',
    summary: 'Remove a secret; one that sheds are given only with force',
    query: ForceQuery,
    codes: ['SECRET_NOT_FOUND', 'SECRET_IN_USE', 'RECORD_INVALID'],
  },
  giveSecret: {
    kind: 'json',
    summary: 'Give a shed a secret: a variable at once, a file from its next start on',
    body: GiveSecretRequest,
    reply: Shed,
    codes: [...shedCodes, 'SECRET_NOT_FOUND', 'RECORD_INVALID', 'PERMISSION_DENIED'],
  },
  takeSecret: {
    kind: 'json',
    summary: 'Give a shed a secret no more; what runs in it keeps what it has',
    reply: Shed,
    codes: [...shedCodes, 'SECRET_NOT_FOUND'],
  },
} as const satisfies RouteTable
