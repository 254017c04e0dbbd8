import { parseName } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { snapshotName } from '../options/snapshot-names.ts'

interface Options {
  readonly comment?: string
  readonly volumes: boolean
  readonly memory?: boolean
  readonly withSecrets?: boolean
}

export const snapshotCreate: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'the shed whose disks are kept as they are now', (text) => parseName(text, 'shed name'))
    .argument('<name>', 'the name of the snapshot: 1 to 63 of a-z, 0-9 and -', snapshotName)
    .option('--comment <text>', 'what it is for')
    .option('--no-volumes', 'its own disk only, and none of its volumes')
    .option('--memory', 'what is in its memory as well: a shed made from it goes on from there')
    .option('--with-secrets', 'also when secrets may be in its memory')
    .action(
      run(async (cli, shed: string, name: string, options: Options) => {
        const { comment, volumes, memory, withSecrets } = options
        const body = {
          ...{ shed, name, volumes },
          ...(comment === undefined ? {} : { comment }),
          ...(memory === true ? { memory } : {}),
          ...(withSecrets === true ? { with_secrets: true } : {}),
        }
        const made = await cli.withProgress((onProgress) => cli.api.call('createSnapshot', { body, onProgress }))
        if (cli.json) return cli.printJson(made)
        const paused = made.pause_ms === undefined ? '' : `, which was paused for ${made.pause_ms} ms`
        cli.print(`${name} created (of ${shed}${paused})\n`)
        cli.notice(`next: cowshed create SHED --from-snapshot ${name}`)
      }),
    )
}
