import { Option } from 'commander'

/** `--trace FILE`, of what is published. */
export function traceFiles(): Option {
  const option = new Option(
    '--trace <file>',
    'a boot trace, besides those that boots here have left: it is called as its file; may be repeated',
  )
  return option.argParser((path: string, before: readonly string[] = []) => [...before, path])
}
