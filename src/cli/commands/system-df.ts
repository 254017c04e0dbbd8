import type { DefineCommand } from '../define-command.ts'
import { usageDetails, usageRollup } from '../output/usage-report.ts'

interface Options {
  readonly verbose?: boolean
}

export const systemDf: DefineCommand = (command, run) => {
  command.option('-v, --verbose', 'a row for each image, shed and file').action(
    run(async (cli, { verbose }: Options) => {
      const report = await cli.api.call('getUsage', {})
      if (cli.json) cli.printJson(report)
      else cli.print(usageRollup(report) + (verbose === true ? usageDetails(report) : ''))
    }),
  )
}
