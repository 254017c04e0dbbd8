import type { DoctorReport, ServerInfo, SetupReply, SetupRequest } from '../contract/index.ts'
import type { Images } from '../images/index.ts'
import type { LongWork, Sheds } from '../sheds/index.ts'
import type { EventLog } from '../state/index.ts'
import type { Usage } from '../usage/index.ts'

/** All that the routes are made from. */
export interface Rooms {
  readonly info: ServerInfo
  readonly sheds: Sheds
  readonly images: Images
  readonly usage: Usage
  readonly events: EventLog
  readonly doctor: () => Promise<DoctorReport>
  readonly fixHost: (work: LongWork) => Promise<DoctorReport>
  readonly setUp: (request: SetupRequest, work: LongWork) => Promise<SetupReply>
}
