import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below what the kernel gives to whoever asks for any port (ip(7), ip_local_port_range): nobody else comes by it by chance. */
const [lowest, highest] = [20_000, 32_000]

/** A port of loopback that nobody has, and that nobody gets who does not ask here. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest)
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
  })
  if (listens) await new Promise((resolve) => server.close(resolve))
  return listens
}
