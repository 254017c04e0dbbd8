import { Problem } from '../../base/index.ts'
import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type SnapshotHandlers = Pick<
  Handlers,
  | 'exportSnapshot'
  | 'importSnapshot'
  | 'listSnapshots'
  | 'createSnapshot'
  | 'getSnapshot'
  | 'removeSnapshot'
  | 'protectSnapshot'
  | 'unprotectSnapshot'
>

export function snapshotRoutes({ sheds: { snapshots } }: Pick<Rooms, 'sheds'>): SnapshotHandlers {
  return {
    listSnapshots: async () => ({ snapshots: await snapshots.list() }),
    createSnapshot: ({ body }) => snapshots.create(body),
    getSnapshot: ({ params }) => snapshots.get(params.snapshot),
    removeSnapshot: ({ params, query }) => snapshots.remove(params.snapshot, query),
    exportSnapshot: async ({ params, query, signal }) => ({
      source: await snapshots.exportTo(params.snapshot, {
        withImage: query.with_image,
        withSecrets: query.with_secrets,
        signal,
      }),
    }),
    async importSnapshot({ query, upload, onProgress, signal }) {
      if (upload === undefined) throw new Problem('INVALID_REQUEST', 'the body must be the file of a snapshot')
      const { name, outcome } = await snapshots.importFrom({ source: upload, name: query.name, onProgress, signal })
      return { snapshot: await snapshots.get(name), outcome }
    },
    protectSnapshot: ({ params }) => snapshots.protect(params.snapshot, true),
    unprotectSnapshot: ({ params }) => snapshots.protect(params.snapshot, false),
  }
}
