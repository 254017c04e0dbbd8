import { printable } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { absolutePath } from '../options/absolute-path.ts'
import { traceFiles } from '../options/trace-files.ts'
import { byDigest } from '../output/by-digest.ts'

interface Options {
  readonly platform?: string
  readonly trace?: readonly string[]
  readonly insecure?: boolean
}

export const imagePublishTraces: DefineCommand = (command, run) => {
  command
    .argument('<image>', 'as it is published: registry.example/team/app:v1')
    .option('--platform <platform>', 'os/arch[/variant], when it is not to be that of this host')
    .addOption(traceFiles())
    .option('--insecure', 'http instead of https')
    .action(
      run(async (cli, ref: string, { platform, trace = [], insecure }: Options) => {
        const traces = trace.map((path) => absolutePath(cli, path))
        const body = { ref, traces, insecure: insecure === true, ...(platform && { platform }) }
        const reply = await cli.withProgress((onProgress) => cli.api.call('publishTraces', { body, onProgress }))
        if (cli.json) return cli.printJson(reply)
        cli.print(`${byDigest(reply)}\n`)
        const has = `${printable(reply.destination)} has the boot traces ${reply.traces.map(printable).join(', ')}`
        cli.notice(reply.outcome === 'unchanged' ? `${has}, as before` : `${has}: new hosts fetch ahead by them`)
      }),
    )
}
