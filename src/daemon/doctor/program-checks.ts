import { createServer } from 'node:net'
import { problemFromSystem } from '../../base/index.ts'
import { decompress, runTool } from '../../host/index.ts'
import type { Check } from './check.ts'

/** As package.json says. */
const oldestNode = [20, 19] as const

export const nodeCheck: Check = {
  name: 'node',
  async look() {
    const { node } = process.versions
    const [major = 0, minor = 0] = node.split('.').map(Number)
    if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]))
      return { verdict: 'ok', found: node }
    return { verdict: 'failed', found: node, hint: `install Node ${oldestNode.join('.')} or newer` }
  },
}

export function toolCheck(tool: string, name: string): Check {
  return {
    name,
    async look() {
      const { stdout, stderr } = await runTool(tool, ['-V'], { timeoutMs: 10_000 })
      const [line = ''] = `${stdout.toString()}${stderr.toString()}`.trim().split('\n')
      return { verdict: 'ok', found: line }
    },
  }
}

/** A frame with nothing in it: magic, a single-segment header for 0 bytes, and one last raw block of none (RFC 8878, section 3.1.1). */
const emptyFrame = Buffer.from('28b52ffd2000010000', 'hex')

export const libzstdCheck: Check = {
  name: 'libzstd',
  async look() {
    for await (const _ of decompress(once(emptyFrame), { compression: 'zstd' }));
    return { verdict: 'ok', found: 'zstd layers can be read' }
  },
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

export const loopbackCheck: Check = {
  name: 'loopback',
  look: () =>
    new Promise((resolve, reject) => {
      const server = createServer()
      server.once('error', (error) => reject(problemFromSystem(error, 'listen on 127.0.0.1')))
      server.listen(0, '127.0.0.1', () =>
        server.close(() => resolve({ verdict: 'ok', found: 'ports can be forwarded' })),
      )
    }),
}
