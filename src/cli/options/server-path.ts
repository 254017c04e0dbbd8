import { Problem } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import { absolutePath } from './absolute-path.ts'

/**
 * A path as the daemon understands it. Of a server elsewhere it is a path there, and one that is relative to where somebody sits here means
 * nothing to it.
 *
 * @throws Problem INVALID_REQUEST
 */
export async function serverPath(cli: Pick<Cli, 'cwd' | 'connection'>, path: string): Promise<string> {
  const { server } = await cli.connection()
  if (server === undefined || path.startsWith('/')) return absolutePath(cli, path)
  throw new Problem('INVALID_REQUEST', `${path} is a path on this host, and ${server.name} reads its own files`, {
    hint: `give an absolute path of ${server.name}'s; images are sent like this: cowshed -s local image save REF -o - | cowshed -s ${server.name} image load -`,
  })
}
