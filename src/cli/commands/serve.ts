import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { absolutePath } from '../options/absolute-path.ts'

interface Options {
  readonly listen?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly allowPlainHttp?: boolean
}

export const serve: DefineCommand = (command, run) => {
  command
    .option(
      '--listen <host:port>',
      'to be talked to over the network at, by whoever has a token; *:PORT is every address',
    )
    .option('--tls-cert <file>', 'the certificate to be known by there (PEM)')
    .option('--tls-key <file>', 'its key')
    .option('--allow-plain-http', 'without a certificate, though tokens can be seen on the way then')
    .action(
      run(async (cli, options: Options) => {
        await cli.serve({ dataDirectory: cli.layout.root, signal: cli.signal, network: networkOf(cli, options) })
      }),
    )
}

function networkOf(cli: Cli, { tlsCert, tlsKey, ...rest }: Options) {
  return {
    ...rest,
    ...(tlsCert === undefined ? {} : { tlsCert: absolutePath(cli, tlsCert) }),
    ...(tlsKey === undefined ? {} : { tlsKey: absolutePath(cli, tlsKey) }),
  }
}
