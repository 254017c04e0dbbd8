import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { firstLine, killScript } from '../../test/support/node-script.ts'
import { bundle } from './bundle.ts'

export interface LinkTraffic {
  /** HTTP requests. */
  requests: number
  /** That came from the server, with their headers. */
  bytes: number
}

export interface OpenLink {
  /** `127.0.0.1:port` of the server. */
  readonly to: string
  readonly delayMs: number
  readonly bytesPerSecond: number
}

export interface Link extends AsyncDisposable {
  /** Where the server can be had over the link. */
  readonly host: string
  /** What has gone through since it was asked for last. */
  traffic(): Promise<LinkTraffic>
}

/** Of the benchmarks with a registry that is far away. */
export const farLink = { delayMs: 20, bytesPerSecond: 100e6 } as const

/** A slow link to a server of this host, in a process of its own. */
export async function openLink({ to, delayMs, bytesPerSecond }: OpenLink): Promise<Link> {
  const script = join(await bundle('link', ['bench/support/link-proxy.ts']), 'link-proxy.js')
  const args = [script, ...to.split(':'), `${delayMs}`, `${bytesPerSecond}`]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const port = await firstLine(child)
  return {
    host: `127.0.0.1:${port}`,
    async traffic() {
      const told = once(child, 'message') as Promise<[LinkTraffic]>
      child.send('traffic')
      return (await told)[0]
    },
    [Symbol.asyncDispose]: () => killScript(child),
  }
}
