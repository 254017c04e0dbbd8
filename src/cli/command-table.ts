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
  {
    name: 'fork',
    summary: 'make running copies of a shed',
    load: async () => (await import('./commands/fork.ts')).fork,
  },
  { name: 'start', summary: 'start sheds', load: async () => (await import('./commands/start.ts')).start },
  { name: 'stop', summary: 'shut sheds down', load: async () => (await import('./commands/stop.ts')).stop },
  {
    name: 'pause',
    summary: 'have sheds stand still, with all that is in their memory, until they are used',
    load: async () => (await import('./commands/pause.ts')).pause,
  },
  {
    name: 'wake',
    summary: 'have sheds that stand still or sleep go on where they were',
    load: async () => (await import('./commands/wake.ts')).wake,
  },
  {
    name: 'set',
    summary: 'say what sheds may have of their host, and what becomes of those that nobody uses',
    load: async () => (await import('./commands/set.ts')).set,
  },
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
  {
    name: 'protect',
    summary: 'keep sheds and their disks from being removed by anything',
    load: async () => (await import('./commands/protect.ts')).protect,
  },
  {
    name: 'unprotect',
    summary: 'let protected sheds go again',
    load: async () => (await import('./commands/protect.ts')).unprotect,
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
    name: 'image publish-traces',
    summary: 'publish what boots here have read of a published image, so that other hosts fetch it ahead',
    load: async () => (await import('./commands/image-publish-traces.ts')).imagePublishTraces,
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
  {
    name: 'image pin',
    summary: 'keep an image, and what is made from it, from being removed by anything',
    load: async () => (await import('./commands/image-pin.ts')).imagePin,
  },
  {
    name: 'image unpin',
    summary: 'let a pinned image go again',
    load: async () => (await import('./commands/image-pin.ts')).imageUnpin,
  },
  { name: 'image rm', summary: 'remove images', load: async () => (await import('./commands/image-rm.ts')).imageRm },
  {
    name: 'image prune',
    summary: 'remove images that nothing needs, or what is made from images and can be made again',
    load: async () => (await import('./commands/image-prune.ts')).imagePrune,
  },
  {
    name: 'snapshot create',
    summary: 'keep the disk of a shed as it is now',
    load: async () => (await import('./commands/snapshot-create.ts')).snapshotCreate,
  },
  {
    name: 'snapshot ls',
    summary: 'list snapshots',
    load: async () => (await import('./commands/snapshot-ls.ts')).snapshotLs,
  },
  {
    name: 'snapshot info',
    summary: 'what a snapshot is of, and whether its lower is here',
    load: async () => (await import('./commands/snapshot-info.ts')).snapshotInfo,
  },
  {
    name: 'snapshot protect',
    summary: 'keep snapshots from being removed by anything',
    load: async () => (await import('./commands/snapshot-protect.ts')).snapshotProtect,
  },
  {
    name: 'snapshot unprotect',
    summary: 'let protected snapshots go again',
    load: async () => (await import('./commands/snapshot-protect.ts')).snapshotUnprotect,
  },
  {
    name: 'snapshot export',
    summary: 'write a snapshot to one file, for another host',
    load: async () => (await import('./commands/snapshot-export.ts')).snapshotExport,
  },
  {
    name: 'snapshot import',
    summary: 'make a snapshot of such a file',
    load: async () => (await import('./commands/snapshot-import.ts')).snapshotImport,
  },
  {
    name: 'snapshot backup',
    summary: 'back up a snapshot to a directory or a store; only what is new is sent',
    load: async () => (await import('./commands/snapshot-backup.ts')).snapshotBackup,
  },
  {
    name: 'snapshot restore',
    summary: 'make a snapshot of a backup',
    load: async () => (await import('./commands/snapshot-restore.ts')).snapshotRestore,
  },
  {
    name: 'snapshot rm',
    summary: 'remove snapshots; sheds made from them stay',
    load: async () => (await import('./commands/snapshot-rm.ts')).snapshotRm,
  },
  {
    name: 'volume create',
    summary: 'make an empty volume',
    load: async () => (await import('./commands/volume-create.ts')).volumeCreate,
  },
  {
    name: 'volume ls',
    summary: 'list volumes, how large they are, and which sheds have them',
    load: async () => (await import('./commands/volume-ls.ts')).volumeLs,
  },
  {
    name: 'volume attach',
    summary: 'give a stopped shed a volume',
    load: async () => (await import('./commands/volume-attach.ts')).volumeAttach,
  },
  {
    name: 'volume detach',
    summary: 'take a volume from a stopped shed',
    load: async () => (await import('./commands/volume-attach.ts')).volumeDetach,
  },
  {
    name: 'volume resize',
    summary: 'make a volume larger, also while a guest uses it',
    load: async () => (await import('./commands/volume-resize.ts')).volumeResize,
  },
  {
    name: 'volume clone',
    summary: 'make a volume with what another one has',
    load: async () => (await import('./commands/volume-clone.ts')).volumeClone,
  },
  {
    name: 'volume backup',
    summary: 'back up a volume, encrypted; only what is new is sent',
    load: async () => (await import('./commands/volume-backup.ts')).volumeBackup,
  },
  {
    name: 'volume restore',
    summary: 'make a volume of a backup',
    load: async () => (await import('./commands/volume-restore.ts')).volumeRestore,
  },
  {
    name: 'volume protect',
    summary: 'keep volumes from being removed by anything',
    load: async () => (await import('./commands/volume-protect.ts')).volumeProtect,
  },
  {
    name: 'volume unprotect',
    summary: 'let protected volumes go again',
    load: async () => (await import('./commands/volume-protect.ts')).volumeUnprotect,
  },
  {
    name: 'volume rm',
    summary: 'remove volumes that no shed has',
    load: async () => (await import('./commands/volume-rm.ts')).volumeRm,
  },
  {
    name: 'backup ls',
    summary: 'list the backups at a place',
    load: async () => (await import('./commands/backup-ls.ts')).backupLs,
  },
  {
    name: 'backup rm',
    summary: 'remove backups',
    load: async () => (await import('./commands/backup-rm.ts')).backupRm,
  },
  {
    name: 'backup prune',
    summary: 'remove old backups, and what no backup needs',
    load: async () => (await import('./commands/backup-prune.ts')).backupPrune,
  },
  {
    name: 'backup verify',
    summary: 'read backups and prove them',
    load: async () => (await import('./commands/backup-verify.ts')).backupVerify,
  },
  {
    name: 'backup key',
    summary: 'print the key that backups are sealed with, or take that of another host',
    load: async () => (await import('./commands/backup-key.ts')).backupKey,
  },
  {
    name: 'secret set',
    summary: 'give a secret a value, from stdin or a file',
    load: async () => (await import('./commands/secret-set.ts')).secretSet,
  },
  {
    name: 'secret ls',
    summary: 'list secrets and who is given them, never what they are',
    load: async () => (await import('./commands/secret-ls.ts')).secretLs,
  },
  {
    name: 'secret give',
    summary: 'give a shed a secret',
    load: async () => (await import('./commands/secret-give.ts')).secretGive,
  },
  {
    name: 'secret take',
    summary: 'give a shed a secret no more',
    load: async () => (await import('./commands/secret-give.ts')).secretTake,
  },
  {
    name: 'secret rm',
    summary: 'remove secrets',
    load: async () => (await import('./commands/secret-rm.ts')).secretRm,
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
  {
    name: 'server add',
    summary: 'talk to a server elsewhere: keeps its address and its token',
    load: async () => (await import('./commands/server-add.ts')).serverAdd,
  },
  {
    name: 'server ls',
    summary: 'the servers that were added',
    load: async () => (await import('./commands/server-ls.ts')).serverLs,
  },
  {
    name: 'server rm',
    summary: 'forget a server',
    load: async () => (await import('./commands/server-rm.ts')).serverRm,
  },
  {
    name: 'server set-default',
    summary: 'which server commands talk to when they are not told',
    load: async () => (await import('./commands/server-set-default.ts')).serverSetDefault,
  },
  {
    name: 'token create',
    summary: 'let somebody talk to this server over the network: prints the token, this once',
    load: async () => (await import('./commands/token-create.ts')).tokenCreate,
  },
  {
    name: 'token ls',
    summary: 'who may talk to this server over the network',
    load: async () => (await import('./commands/token-ls.ts')).tokenLs,
  },
  {
    name: 'token revoke',
    summary: 'take a token back; what is under way with it ends',
    load: async () => (await import('./commands/token-revoke.ts')).tokenRevoke,
  },
  {
    name: 'system trim',
    summary: 'give back what the disks of sheds have free',
    load: async () => (await import('./commands/system-trim.ts')).systemTrim,
  },
  {
    name: 'system dedupe',
    summary: 'let disks have only once what is the same in them',
    load: async () => (await import('./commands/system-dedupe.ts')).systemDedupe,
  },
  {
    name: 'lazy ls',
    summary: 'published images of which only some is here',
    load: async () => (await import('./commands/lazy-ls.ts')).lazyLs,
  },
  {
    name: 'lazy serve',
    summary: 'serve a published image as a block device: what is read is fetched, verified and kept',
    load: async () => (await import('./commands/lazy-serve.ts')).lazyServe,
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
  lazy: 'images that are read before they are here',
  snapshot: 'disks of sheds as they were',
  volume: 'disks that outlive sheds',
  backup: 'disks kept elsewhere',
  secret: 'values that sheds are given and nobody is shown',
  system: 'disk usage and cleaning up',
  server: 'servers elsewhere that this command line talks to',
  token: 'who may talk to this server over the network',
}
