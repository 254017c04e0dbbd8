import type { Backups } from '../backups/index.ts'
import type { DataLayout } from '../base/index.ts'
import type { DoctorReport, HostUse, LazyImage, ServerInfo, SetupReply, SetupRequest } from '../contract/index.ts'
import type { Images } from '../images/index.ts'
import type { LongWork, Sheds } from '../sheds/index.ts'
import type { EventLog } from '../state/index.ts'
import type { Usage } from '../usage/index.ts'
import type { Tokens } from './access/tokens.ts'

/** All that the routes are made from. */
export interface Rooms {
  readonly layout: DataLayout
  readonly info: ServerInfo
  readonly hostUse: () => Promise<HostUse>
  readonly sheds: Sheds
  readonly images: Images
  /** Those that are read before they are here. */
  readonly lazyImages: () => Promise<LazyImage[]>
  readonly usage: Usage
  readonly backups: Backups
  readonly events: EventLog
  readonly tokens: Tokens
  readonly doctor: () => Promise<DoctorReport>
  readonly fixHost: (work: LongWork) => Promise<DoctorReport>
  readonly setUp: (request: SetupRequest, work: LongWork) => Promise<SetupReply>
}
