import { basename, dirname } from 'node:path'
import { expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { runTool } from '../../host/index.ts'
import { writeBootEntry } from './boot-entry.ts'

test.runIf(needs({ tools: ['systemd-analyze'] })).each(['/var/lib/cowshed', '/srv/my "sheds\\"/a-b%x', '/data/é'])(
  'systemd has nothing to say about the unit that mounts %s',
  async (root) => {
    await using etc = await temporaryDirectory()
    const unit = await writeBootEntry('systemd', { root, file: `${root}.btrfs`, etc: etc.path })
    const { stdout, stderr } = await runTool('systemd-analyze', ['verify', `./${basename(unit)}`], {
      cwd: dirname(unit),
    })
    expect(stdout.toString() + stderr.toString()).toBe('')
  },
)
