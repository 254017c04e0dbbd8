import { parseName } from '../../base/index.ts'
import type { VolumeMount } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { volumeMount } from '../options/volume-mount.ts'
import { volumeName } from '../options/volume-names.ts'

export const volumeAttach: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'a shed that is stopped', (text) => parseName(text, 'shed name'))
    .argument('<mount>', 'NAME:PATH, or NAME:PATH:ro to read only', volumeMount)
    .action(
      run(async (cli, name: string, mount: VolumeMount) => {
        const shed = await cli.api.call('attachVolume', { params: { name }, body: mount })
        if (cli.json) return cli.printJson(shed)
        cli.print(`${mount.volume} attached to ${name} at ${mount.path}${mount.read_only ? ', read-only' : ''}\n`)
      }),
    )
}

export const volumeDetach: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'a shed that is stopped', (text) => parseName(text, 'shed name'))
    .argument('<volume>', 'the name of the volume', volumeName)
    .action(
      run(async (cli, name: string, volume: string) => {
        const shed = await cli.api.call('detachVolume', { params: { name, volume } })
        if (cli.json) cli.printJson(shed)
        else cli.print(`${volume} detached from ${name}\n`)
      }),
    )
}
