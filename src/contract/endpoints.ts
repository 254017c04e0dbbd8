/**
 * Where every route of the API is. Apart from routes.ts, which says what goes in and out, so that a client can call them without
 * loading zod: that alone would take a third of the time in which the CLI must answer.
 */
export const endpoints = {
  getInfo: { method: 'GET', path: '/api/info' },
  getOpenApi: { method: 'GET', path: '/api/openapi.json' },

  listSheds: { method: 'GET', path: '/api/sheds' },
  createShed: { method: 'POST', path: '/api/sheds' },
  getShed: { method: 'GET', path: '/api/sheds/:name' },
  deleteShed: { method: 'DELETE', path: '/api/sheds/:name' },
  startShed: { method: 'POST', path: '/api/sheds/:name/start' },
  stopShed: { method: 'POST', path: '/api/sheds/:name/stop' },
  pauseShed: { method: 'POST', path: '/api/sheds/:name/pause' },
  wakeShed: { method: 'POST', path: '/api/sheds/:name/wake' },
  forkShed: { method: 'POST', path: '/api/sheds/:name/fork' },
  resetShed: { method: 'POST', path: '/api/sheds/:name/reset' },
  protectShed: { method: 'POST', path: '/api/sheds/:name/protect' },
  unprotectShed: { method: 'POST', path: '/api/sheds/:name/unprotect' },
  setShed: { method: 'POST', path: '/api/sheds/:name/thermal' },
  setShedLimits: { method: 'POST', path: '/api/sheds/:name/limits' },
  execInShed: { method: 'GET', path: '/api/sheds/:name/exec' },
  shellInShed: { method: 'GET', path: '/api/sheds/:name/shell' },
  readLogs: { method: 'GET', path: '/api/sheds/:name/logs' },

  readGuestFile: { method: 'GET', path: '/api/sheds/:name/files' },
  statGuestFile: { method: 'GET', path: '/api/sheds/:name/files/stat' },
  listGuestDirectory: { method: 'GET', path: '/api/sheds/:name/files/list' },
  writeGuestFile: { method: 'PUT', path: '/api/sheds/:name/files' },
  makeGuestFile: { method: 'POST', path: '/api/sheds/:name/files' },
  removeGuestFile: { method: 'DELETE', path: '/api/sheds/:name/files' },

  listForwards: { method: 'GET', path: '/api/sheds/:name/forwards' },
  addForward: { method: 'POST', path: '/api/sheds/:name/forwards' },
  removeForward: { method: 'DELETE', path: '/api/sheds/:name/forwards/:host_port' },

  attachVolume: { method: 'POST', path: '/api/sheds/:name/volumes' },
  detachVolume: { method: 'DELETE', path: '/api/sheds/:name/volumes/:volume' },

  giveSecret: { method: 'POST', path: '/api/sheds/:name/secrets' },
  takeSecret: { method: 'DELETE', path: '/api/sheds/:name/secrets/:secret' },

  listSecrets: { method: 'GET', path: '/api/secrets' },
  setSecret: { method: 'PUT', path: '/api/secrets/:secret' },
  removeSecret: { method: 'DELETE', path: '/api/secrets/:secret' },

  listSnapshots: { method: 'GET', path: '/api/snapshots' },
  createSnapshot: { method: 'POST', path: '/api/snapshots' },
  getSnapshot: { method: 'GET', path: '/api/snapshots/:snapshot' },
  removeSnapshot: { method: 'DELETE', path: '/api/snapshots/:snapshot' },
  protectSnapshot: { method: 'POST', path: '/api/snapshots/:snapshot/protect' },
  unprotectSnapshot: { method: 'POST', path: '/api/snapshots/:snapshot/unprotect' },
  exportSnapshot: { method: 'GET', path: '/api/snapshots/:snapshot/export' },
  importSnapshot: { method: 'POST', path: '/api/snapshots/import' },

  listVolumes: { method: 'GET', path: '/api/volumes' },
  createVolume: { method: 'POST', path: '/api/volumes' },
  getVolume: { method: 'GET', path: '/api/volumes/:volume' },
  removeVolume: { method: 'DELETE', path: '/api/volumes/:volume' },
  resizeVolume: { method: 'POST', path: '/api/volumes/:volume/resize' },
  cloneVolume: { method: 'POST', path: '/api/volumes/:volume/clone' },
  protectVolume: { method: 'POST', path: '/api/volumes/:volume/protect' },
  unprotectVolume: { method: 'POST', path: '/api/volumes/:volume/unprotect' },

  backupVolume: { method: 'POST', path: '/api/volumes/:volume/backup' },
  backupSnapshot: { method: 'POST', path: '/api/snapshots/:snapshot/backup' },
  restoreVolume: { method: 'POST', path: '/api/backups/restore' },
  restoreSnapshot: { method: 'POST', path: '/api/snapshots/restore' },
  listBackups: { method: 'GET', path: '/api/backups' },
  removeBackup: { method: 'DELETE', path: '/api/backups/:backup' },
  pruneBackups: { method: 'POST', path: '/api/backups/prune' },
  verifyBackups: { method: 'POST', path: '/api/backups/verify' },
  showBackupKey: { method: 'GET', path: '/api/backups/key' },
  importBackupKey: { method: 'POST', path: '/api/backups/key' },

  listImages: { method: 'GET', path: '/api/images' },
  inspectImage: { method: 'GET', path: '/api/images/inspect' },
  imageHistory: { method: 'GET', path: '/api/images/history' },
  readImageDocument: { method: 'GET', path: '/api/images/document' },
  removeImage: { method: 'DELETE', path: '/api/images' },
  tagImage: { method: 'POST', path: '/api/images/tag' },
  pinImage: { method: 'POST', path: '/api/images/pin' },
  unpinImage: { method: 'POST', path: '/api/images/unpin' },
  pullImage: { method: 'POST', path: '/api/images/pull' },
  pushImage: { method: 'POST', path: '/api/images/push' },
  publishImage: { method: 'POST', path: '/api/images/publish' },
  publishTraces: { method: 'POST', path: '/api/images/publish-traces' },
  loadImage: { method: 'POST', path: '/api/images/load' },
  buildImage: { method: 'POST', path: '/api/images/build' },
  verifyImages: { method: 'POST', path: '/api/images/verify' },
  saveImage: { method: 'POST', path: '/api/images/save' },
  downloadImage: { method: 'GET', path: '/api/images/save' },

  listLazy: { method: 'GET', path: '/api/lazy' },

  getUsage: { method: 'GET', path: '/api/system/df' },
  explainUsage: { method: 'GET', path: '/api/system/df/explain' },
  usageGrowth: { method: 'GET', path: '/api/system/df/since' },
  planPrune: { method: 'GET', path: '/api/system/prune' },
  prune: { method: 'POST', path: '/api/system/prune' },
  dedupe: { method: 'POST', path: '/api/system/dedupe' },
  trim: { method: 'POST', path: '/api/system/trim' },
  runDoctor: { method: 'GET', path: '/api/system/doctor' },
  fixHost: { method: 'POST', path: '/api/system/doctor' },
  setUp: { method: 'POST', path: '/api/system/setup' },
  listTokens: { method: 'GET', path: '/api/tokens' },
  createToken: { method: 'POST', path: '/api/tokens' },
  revokeToken: { method: 'DELETE', path: '/api/tokens/:token' },

  readMetrics: { method: 'GET', path: '/api/metrics' },
  readEvents: { method: 'GET', path: '/api/events' },
} as const satisfies Record<string, Endpoint>

export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `:name` stands for one path segment. */
  readonly path: string
}

export type RouteName = keyof typeof endpoints
