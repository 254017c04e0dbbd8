import type { CommandEntry } from './define-command.ts'

/** Every command, in the order of `cowshed --help`. */
export const commandTable: readonly CommandEntry[] = [
  { name: 'setup', summary: 'get a guest kernel ready', load: async () => (await import('./commands/setup.ts')).setup },
  {
    name: 'doctor',
    summary: 'check whether this host has what sheds need',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'create',
    summary: 'make a shed from an image',
    load: async () => (await import('./commands/create.ts')).create,
  },
  { name: 'start', summary: 'start sheds', load: async () => (await import('./commands/start.ts')).start },
  { name: 'stop', summary: 'shut sheds down', load: async () => (await import('./commands/stop.ts')).stop },
  {
    name: 'reset',
    summary: 'put sheds back to their images: what was written to their disks goes',
    load: async () => (await import('./commands/reset.ts')).reset,
  },
  {
    name: 'delete',
    summary: 'delete sheds and their disks',
    load: async () => (await import('./commands/delete.ts')).deleteSheds,
  },
  { name: 'exec', summary: 'run a program in a shed', load: async () => (await import('./commands/exec.ts')).exec },
  { name: 'shell', summary: 'a login shell in a shed', load: async () => (await import('./commands/shell.ts')).shell },
  {
    name: 'cp',
    summary: 'copy files and directories into or out of a shed',
    load: async () => (await import('./commands/cp.ts')).cp,
  },
  { name: 'logs', summary: 'the console of a shed', load: async () => (await import('./commands/logs.ts')).logs },
  { name: 'ls', summary: 'list sheds', load: async () => (await import('./commands/ls.ts')).ls },
  {
    name: 'inspect',
    summary: 'everything about a shed',
    load: async () => (await import('./commands/inspect.ts')).inspect,
  },
  {
    name: 'forward',
    summary: 'make a port of a shed reachable on 127.0.0.1',
    load: async () => (await import('./commands/forward.ts')).forward,
  },
  { name: 'events', summary: 'what happened', load: async () => (await import('./commands/events.ts')).events },
  {
    name: 'image pull',
    summary: 'bring images from their registries',
    load: async () => (await import('./commands/image-pull.ts')).imagePull,
  },
  {
    name: 'image push',
    summary: 'send an image to a registry, byte for byte',
    load: async () => (await import('./commands/image-push.ts')).imagePush,
  },
  {
    name: 'image publish',
    summary: 'put an image into a registry with the form that hosts boot from: they pull that, and no layers',
    load: async () => (await import('./commands/image-publish.ts')).imagePublish,
  },
  {
    name: 'image load',
    summary: 'take in an OCI archive, a docker archive or an OCI layout directory',
    load: async () => (await import('./commands/image-load.ts')).imageLoad,
  },
  {
    name: 'image build',
    summary: 'build an image of a Dockerfile, without a Docker daemon',
    load: async () => (await import('./commands/image-build.ts')).imageBuild,
  },
  {
    name: 'image save',
    summary: 'write images as an OCI archive',
    load: async () => (await import('./commands/image-save.ts')).imageSave,
  },
  { name: 'image ls', summary: 'list images', load: async () => (await import('./commands/image-ls.ts')).imageLs },
  {
    name: 'image inspect',
    summary: 'everything about an image',
    load: async () => (await import('./commands/image-inspect.ts')).imageInspect,
  },
  {
    name: 'image history',
    summary: 'how an image came to be, and which step made which layer',
    load: async () => (await import('./commands/image-history.ts')).imageHistory,
  },
  {
    name: 'image verify',
    summary: 'look for damage in all that images have on disk, and mend it',
    load: async () => (await import('./commands/image-verify.ts')).imageVerify,
  },
  {
    name: 'image tag',
    summary: 'give an image one more name',
    load: async () => (await import('./commands/image-tag.ts')).imageTag,
  },
  { name: 'image rm', summary: 'remove images', load: async () => (await import('./commands/image-rm.ts')).imageRm },
  {
    name: 'image prune',
    summary: 'remove images that nothing needs, or what is made from images and can be made again',
    load: async () => (await import('./commands/image-prune.ts')).imagePrune,
  },
  {
    name: 'system df',
    summary: 'what holds which bytes',
    load: async () => (await import('./commands/system-df.ts')).systemDf,
  },
  {
    name: 'system prune',
    summary: 'show what can be removed, ask, and remove it',
    load: async () => (await import('./commands/system-prune.ts')).systemPrune,
  },
  { name: 'serve', summary: 'run the daemon', load: async () => (await import('./commands/serve.ts')).serve },
  {
    name: 'completion',
    summary: 'print the completion script for a shell',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
  {
    name: 'version',
    summary: 'the version of cowshed',
    load: async () => (await import('./commands/version.ts')).versions,
  },
  {
    name: '__complete',
    summary: 'what can come next on a command line',
    load: async () => (await import('./commands/complete.ts')).completeFrom(commandTable),
    hidden: true,
  },
]

/** What the groups of commands are about. */
export const groups: Readonly<Record<string, string>> = {
  image: 'images that sheds are made from',
  system: 'disk usage and cleaning up',
}
