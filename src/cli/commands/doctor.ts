import { printable } from '../../base/index.ts'
import type { DoctorCheck } from '../../contract/index.ts'
import type { DefineCommand } from '../command-table.ts'
import { paint } from '../terminal/paint.ts'

export const doctor: DefineCommand = (command, run) => {
  command.action(
    run(async (cli) => {
      const report = await cli.api.call('runDoctor', {})
      if (cli.json) cli.printJson(report)
      else for (const check of report.checks) cli.print(line(check, paint(cli.terminal)))
      return report.checks.some(({ verdict }) => verdict === 'failed') ? 1 : 0
    }),
  )
}

const marks = { ok: '✓', warning: '!', failed: '✗' } as const

function line(
  { name, verdict, found, hint }: DoctorCheck,
  { green, yellow, red, dim }: ReturnType<typeof paint>,
): string {
  const colour = { ok: green, warning: yellow, failed: red }[verdict]
  const advice = hint === undefined ? '' : `    ${dim(`→ ${printable(hint)}`)}\n`
  return `${colour(marks[verdict])} ${printable(name)}: ${printable(found)}\n${advice}`
}
