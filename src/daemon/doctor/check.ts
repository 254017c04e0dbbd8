import type { DataLayout, OnProgress } from '../../base/index.ts'
import type { DoctorCheck, HostUse } from '../../contract/index.ts'
import type { Images } from '../../images/index.ts'
import type { Confinement, Driver } from '../../machines/index.ts'

export interface Host {
  readonly layout: DataLayout
  readonly driver: Driver
  readonly images: Pick<Images, 'lowers'>
  readonly runDirectory: string
  /** Of this data directory's VMs; it need not be there. */
  readonly ramDirectory: string
  readonly hostUse: () => Promise<HostUse>
  readonly confinement: () => Promise<Confinement>
  /** The static guest agent, for a kernel that is to be installed. */
  readonly agentPath: string
}

/** One thing that is looked at. */
export interface Check {
  readonly name: string
  /** Finds out how it is. What it throws is a check that has failed. */
  readonly look: (host: Host) => Promise<Omit<DoctorCheck, 'name' | 'fixed'>>
  /**
   * Does what the hint says, where that can harm nothing that somebody made.
   *
   * @returns what was done
   */
  readonly fix?: (host: Host, work: { readonly onProgress?: OnProgress | undefined }) => Promise<string>
}
