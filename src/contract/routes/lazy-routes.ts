import { ListLazyReply } from '../lazy.ts'
import type { RouteTable } from './route-spec.ts'

export const lazyRoutes = {
  listLazy: {
    kind: 'json',
    summary: 'Published images of which only some is here',
    reply: ListLazyReply,
    codes: [],
  },
} as const satisfies RouteTable
