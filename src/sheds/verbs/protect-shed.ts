import type { ShedsContext } from '../context.ts'

/** Protects a shed, or lets it go again, inside its transition: a removal that began before is over. */
export async function protectShed({ pins, events }: ShedsContext, name: string, isProtected: boolean): Promise<void> {
  if (!(await pins.set({ kind: 'shed', id: name }, isProtected))) return
  const type = isProtected ? 'shed.protected' : 'shed.unprotected'
  events.append({ type, subject: name, message: `shed ${name} is ${isProtected ? 'protected' : 'protected no more'}` })
}
