import type { PortConnection } from '../../wires/index.ts'
import type { ShedsContext } from '../context.ts'
import { useShed } from '../thermal/use-shed.ts'

/**
 * Passes a connection on to a port of a shed, which is in use until both sides have ended. One that sleeps is woken first: who has connected waits.
 *
 * @throws Problem as useShed does, QMP_FAILED, MACHINE_FAILED; anything else is that one of the sides has broken off
 */
export async function passOn(
  context: ShedsContext,
  name: string,
  guestPort: number,
  connection: PortConnection,
): Promise<void> {
  using use = await useShed(context, name)
  await connection.passTo(await use.live.hostPortOf(guestPort))
}
