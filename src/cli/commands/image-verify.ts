import { formatSize, printable, shortDigest } from '../../base/index.ts'
import type { ImageFinding, VerifyImagesReply } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { details } from '../terminal/table.ts'

interface Options {
  readonly repair?: boolean
}

export const imageVerify: DefineCommand = (command, run) => {
  command
    .argument('[images...]', 'their names or digests; every image when left out')
    .option('--repair', 'make again what can be made of what is intact')
    .action(
      run(async (cli, refs: string[], { repair }: Options) => {
        const body = { refs, repair: repair === true }
        const reply = await cli.withProgress((onProgress) => cli.api.call('verifyImages', { body, onProgress }))
        if (cli.json) cli.printJson(reply)
        else cli.print(`${reply.findings.map(describe).join('')}${summary(reply)}\n`)
        if (!cli.json) for (const note of reply.notes) cli.notice(`note: ${printable(note)}`)
        return reply.findings.some(({ repaired }) => !repaired) ? 1 : 0
      }),
    )
}

function describe({ kind, digest, path, images, message, mend, repaired }: ImageFinding): string {
  return `${repaired ? 'repaired' : 'damaged'}: ${kind} ${shortDigest(digest)} of ${images.map(printable).join(', ')}
${details([
  ['  file', printable(path)],
  ['  what', printable(message)],
  ['  mend', repaired ? undefined : printable(mend)],
])}
`
}

function summary({ checked, findings }: VerifyImagesReply): string {
  const damaged = findings.filter(({ repaired }) => !repaired).length
  const mended = findings.length - damaged
  const verdict = [
    ...(mended > 0 ? [`${mended} repaired`] : []),
    ...(damaged > 0 ? [`${damaged} damaged`] : mended > 0 ? [] : ['all intact']),
  ].join(', ')
  const { images, blobs, layers, lowers, rootfs, bytes } = checked
  const counts = [counted(images, 'image'), counted(blobs, 'blob'), counted(layers, 'layer'), counted(lowers, 'lower')]
  if (rootfs > 0) counts.push(`${rootfs} ext4`)
  return `${counts.join(', ')}, ${formatSize(bytes)} read: ${verdict}`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
