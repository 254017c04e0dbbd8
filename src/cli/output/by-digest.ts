import { printable } from '../../base/index.ts'

/** The name of what is in a registry now, for any program: a tag may move. */
export function byDigest({ destination, digest }: { readonly destination: string; readonly digest: string }): string {
  return printable(`${destination.replace(/(?:@.*|:[^:/]*)$/, '')}@${digest}`)
}
