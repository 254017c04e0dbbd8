import { printable } from '../../base/index.ts'
import type { DoctorCheck, DoctorReport } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { paint } from '../terminal/paint.ts'

interface Options {
  readonly fix?: boolean
}

export const doctor: DefineCommand = (command, run) => {
  command
    .option(
      '--fix',
      'do what can be done without harm: leftovers removed, a guest kernel installed, KVM tried once more',
    )
    .action(
      run(async (cli, { fix }: Options) => {
        const report = await (fix === true ? fixed(cli) : cli.api.call('runDoctor', {}))
        if (cli.json) cli.printJson(report)
        else for (const check of report.checks) cli.print(lines(check, paint(cli.terminal)))
        return report.checks.some(({ verdict }) => verdict === 'failed') ? 1 : 0
      }),
    )
}

function fixed(cli: Cli): Promise<DoctorReport> {
  return cli.withProgress((onProgress) => cli.api.call('fixHost', { onProgress }))
}

const marks = { ok: '✓', warning: '!', failed: '✗' } as const

function lines(
  { name, verdict, found, hint, fixed }: DoctorCheck,
  { green, yellow, red, dim }: ReturnType<typeof paint>,
): string {
  const colour = { ok: green, warning: yellow, failed: red }[verdict]
  const remarks = [fixed, hint].filter((remark) => remark !== undefined)
  const below = remarks.map((remark) => `    ${dim(`→ ${printable(remark)}`)}\n`).join('')
  return `${colour(marks[verdict])} ${printable(name)}: ${printable(found)}\n${below}`
}
