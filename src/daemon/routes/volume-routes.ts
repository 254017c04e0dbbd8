import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type VolumeHandlers = Pick<
  Handlers,
  | 'attachVolume'
  | 'detachVolume'
  | 'listVolumes'
  | 'createVolume'
  | 'getVolume'
  | 'removeVolume'
  | 'resizeVolume'
  | 'cloneVolume'
  | 'protectVolume'
  | 'unprotectVolume'
>

export function volumeRoutes({ sheds }: Pick<Rooms, 'sheds'>): VolumeHandlers {
  const { volumes } = sheds
  return {
    attachVolume: ({ params, body }) => sheds.attachVolume(params.name, body),
    detachVolume: ({ params }) => sheds.detachVolume(params.name, params.volume),
    listVolumes: async () => ({ volumes: await volumes.list() }),
    createVolume: ({ body }) => volumes.create(body),
    getVolume: ({ params }) => volumes.get(params.volume),
    removeVolume: ({ params, query }) => volumes.remove(params.volume, query),
    resizeVolume: ({ params, body }) => volumes.resize(params.volume, body.bytes),
    cloneVolume: ({ params, body }) => volumes.clone(params.volume, body.name),
    protectVolume: ({ params }) => volumes.protect(params.volume, true),
    unprotectVolume: ({ params }) => volumes.protect(params.volume, false),
  }
}
