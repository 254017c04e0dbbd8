import { libc } from './libc.ts'

/** linux/ioprio.h: the class is above 13 bits of a level. */
const IOPRIO_CLASS_IDLE = 3
const IOPRIO_CLASS_SHIFT = 13

/** What this thread reads and writes from now on waits for everybody else's, where the disk's scheduler knows of such a thing; elsewhere nothing changes. */
export function idleInputOutput(): void {
  libc().ioprioSet(IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT)
}
