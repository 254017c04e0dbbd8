import { readFileSync } from 'node:fs'
import { errnoCode, problemFromSystem } from '../../../base/index.ts'
import { runTool } from '../../../host/index.ts'

/** A system user that owns nothing: whoever breaks out of a guest is nobody on its host. */
export const vmUserName = 'cowshed-vm'

export interface VmUser {
  readonly uid: number
  readonly gid: number
}

/** The user that VMMs run as. @returns undefined when there is none yet, and when this process may not become another user anyway */
export function vmUser(): VmUser | undefined {
  return process.geteuid?.() === 0 ? userIn(readPasswd()) : undefined
}

/**
 * Makes the user that VMMs run as, unless there is one.
 *
 * @returns whether it was made now; never without root
 * @throws Problem TOOL_NOT_FOUND, TOOL_FAILED
 * @see useradd(8)
 */
export async function ensureVmUser(): Promise<boolean> {
  if (process.geteuid?.() !== 0 || vmUser() !== undefined) return false
  const nowhere = ['--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin']
  const { code } = await runTool('useradd', ['--system', '--user-group', ...nowhere, vmUserName], {
    okCodes: [0, nameInUse],
  })
  return code === 0
}

/** Another daemon was quicker. */
const nameInUse = 9

/** @see passwd(5) */
export function userIn(passwd: string): VmUser | undefined {
  const line = passwd.split('\n').find((each) => each.startsWith(`${vmUserName}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  const [user, group] = [uid, gid].map((text) => (text !== undefined && /^\d+$/.test(text) ? Number(text) : 0))
  return user && group ? { uid: user, gid: group } : undefined
}

function readPasswd(): string {
  try {
    return readFileSync('/etc/passwd', 'latin1')
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return ''
    throw problemFromSystem(error, 'read /etc/passwd')
  }
}
