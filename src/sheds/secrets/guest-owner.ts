import { isProblem } from '../../base/index.ts'
import type { AgentConnection } from '../../wires/index.ts'

export interface GuestOwner {
  readonly uid: number
  readonly gid: number
}

const root: GuestOwner = { uid: 0, gid: 0 }
/** No /etc/passwd is near this. */
const maxBytes = 1 << 20

/**
 * Who programs of a shed run as unless they are told otherwise.
 *
 * @param user as the image's config says it: "name", "uid", either with ":group"; "" is root
 * @returns root for one that the guest does not know
 */
export async function guestOwner(agent: AgentConnection, user: string): Promise<GuestOwner> {
  const [name = '', group = ''] = user.split(':')
  if (name === '' || name === 'root') return root
  const [, uid, gid] = /^\d+$/.test(name) ? ['', name, '0'] : (entryOf(await readPasswd(agent), name) ?? [])
  if (uid === undefined || gid === undefined) return root
  return { uid: Number(uid), gid: /^\d+$/.test(group) ? Number(group) : Number(gid) }
}

function entryOf(passwd: string, name: string): string[] | undefined {
  const fields = passwd.split('\n').map((line) => line.split(':'))
  const found = fields.find(([login, , uid, gid]) => login === name && isId(uid) && isId(gid))
  return found === undefined ? undefined : ['', found[2] ?? '', found[3] ?? '']
}

/** What a guest's file says is a number that a user can have, or nothing. */
function isId(text: string | undefined): boolean {
  return /^\d{1,10}$/.test(text ?? '') && Number(text) < 2 ** 32 - 1
}

async function readPasswd(agent: AgentConnection): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of agent.readFile('/etc/passwd', { length: maxBytes })) chunks.push(chunk)
  } catch (error) {
    if (!isProblem(error, 'GUEST_FILE_NOT_FOUND')) throw error
  }
  return Buffer.concat(chunks).toString('latin1')
}
