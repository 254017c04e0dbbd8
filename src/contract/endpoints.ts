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
  resetShed: { method: 'POST', path: '/api/sheds/:name/reset' },
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

  listImages: { method: 'GET', path: '/api/images' },
  inspectImage: { method: 'GET', path: '/api/images/inspect' },
  imageHistory: { method: 'GET', path: '/api/images/history' },
  readImageDocument: { method: 'GET', path: '/api/images/document' },
  removeImage: { method: 'DELETE', path: '/api/images' },
  tagImage: { method: 'POST', path: '/api/images/tag' },
  pullImage: { method: 'POST', path: '/api/images/pull' },
  pushImage: { method: 'POST', path: '/api/images/push' },
  publishImage: { method: 'POST', path: '/api/images/publish' },
  loadImage: { method: 'POST', path: '/api/images/load' },
  buildImage: { method: 'POST', path: '/api/images/build' },
  verifyImages: { method: 'POST', path: '/api/images/verify' },
  saveImage: { method: 'POST', path: '/api/images/save' },
  downloadImage: { method: 'GET', path: '/api/images/save' },

  getUsage: { method: 'GET', path: '/api/system/df' },
  explainUsage: { method: 'GET', path: '/api/system/df/explain' },
  prune: { method: 'POST', path: '/api/system/prune' },
  runDoctor: { method: 'GET', path: '/api/system/doctor' },
  fixHost: { method: 'POST', path: '/api/system/doctor' },
  setUp: { method: 'POST', path: '/api/system/setup' },
  readEvents: { method: 'GET', path: '/api/events' },
} as const satisfies Record<string, Endpoint>

export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `:name` stands for one path segment. */
  readonly path: string
}

export type RouteName = keyof typeof endpoints
