import { AddForwardRequest, Forward, ListForwardsReply } from '../sheds.ts'
import type { RouteTable } from './route-spec.ts'

export const forwardRoutes = {
  listForwards: {
    kind: 'json',
    summary: 'The ports of a shed that can be reached from the host',
    reply: ListForwardsReply,
    codes: ['SHED_NOT_FOUND'],
  },
  addForward: {
    kind: 'json',
    summary:
      'Make a port of a shed that runs or sleeps reachable on 127.0.0.1; host_port 0 chooses a free one; who connects wakes it',
    body: AddForwardRequest,
    reply: Forward,
    codes: ['SHED_NOT_FOUND', 'SHED_NOT_RUNNING', 'PORT_IN_USE'],
  },
  removeForward: {
    kind: 'json',
    summary: 'Close a forwarded port',
    codes: ['SHED_NOT_FOUND', 'FORWARD_NOT_FOUND'],
  },
} as const satisfies RouteTable
