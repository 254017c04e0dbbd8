import { createWeb } from './at-rest.ts'
import { fakeQemu } from './fake-qemu.ts'
import { type OpenedRooms, openRoomsOn } from './open-rooms.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export interface FakeWeb extends AsyncDisposable {
  readonly rooms: OpenedRooms
}

/** The shed `web`, which runs over a fake QEMU, with a data directory of its own: all of it goes when this is disposed of. */
export async function fakeWeb(): Promise<FakeWeb> {
  const fake = await fakeQemu()
  const directory = await temporaryDirectory()
  const rooms = await openRoomsOn(directory.path)
  await createWeb(rooms)
  return {
    rooms,
    async [Symbol.asyncDispose]() {
      await rooms.sheds.remove('web', { force: true })
      await rooms[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
      await fake[Symbol.asyncDispose]()
    },
  }
}
