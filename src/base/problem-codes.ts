/**
 * Every error code of cowshed, in one place. docs/errors.md documents each of them and a test compares the two.
 *
 * `status` is the HTTP status that the daemon answers with, `exit` the exit code of the CLI (0 ok, 1 failed, 2 usage, 3 not found,
 * 4 conflict or wrong state, 5 no space, 6 partial, 7 server unreachable).
 */
export const problemCodes = {
  // requests
  INVALID_REQUEST: { status: 400, exit: 2 },
  SETTINGS_INVALID: { status: 500, exit: 2 },
  ROUTE_NOT_FOUND: { status: 404, exit: 3 },
  PAYLOAD_TOO_LARGE: { status: 413, exit: 2 },
  CONFIRMATION_REQUIRED: { status: 400, exit: 2 },
  USAGE_NOT_SAMPLED: { status: 404, exit: 3 },
  PINNED: { status: 409, exit: 4 },
  PLAN_CHANGED: { status: 409, exit: 4 },

  // servers and tokens
  UNAUTHORIZED: { status: 401, exit: 1 },
  FORBIDDEN: { status: 403, exit: 1 },
  TOO_MANY_ATTEMPTS: { status: 429, exit: 1 },
  TOKEN_NOT_FOUND: { status: 404, exit: 3 },
  TOKEN_ALREADY_EXISTS: { status: 409, exit: 4 },
  SERVER_NOT_FOUND: { status: 404, exit: 3 },
  SERVER_ALREADY_EXISTS: { status: 409, exit: 4 },

  // sheds
  SHED_NOT_FOUND: { status: 404, exit: 3 },
  SHED_ALREADY_EXISTS: { status: 409, exit: 4 },
  SHED_NOT_RUNNING: { status: 409, exit: 4 },
  SHED_NOT_STOPPED: { status: 409, exit: 4 },
  SHED_BUSY: { status: 409, exit: 4 },
  SHED_BROKEN: { status: 409, exit: 4 },
  SHED_FAILED: { status: 409, exit: 4 },
  MEMORY_DAMAGED: { status: 409, exit: 4 },
  HOST_FULL: { status: 409, exit: 4 },
  FORWARD_NOT_FOUND: { status: 404, exit: 3 },
  PORT_IN_USE: { status: 409, exit: 4 },

  // snapshots
  SNAPSHOT_NOT_FOUND: { status: 404, exit: 3 },
  SNAPSHOT_ALREADY_EXISTS: { status: 409, exit: 4 },
  SNAPSHOT_BUSY: { status: 409, exit: 4 },
  SNAPSHOT_FILE_INVALID: { status: 400, exit: 1 },

  // volumes
  VOLUME_NOT_FOUND: { status: 404, exit: 3 },
  VOLUME_ALREADY_EXISTS: { status: 409, exit: 4 },
  VOLUME_IN_USE: { status: 409, exit: 4 },
  VOLUME_NOT_CLEAN: { status: 409, exit: 4 },

  // secrets
  SECRET_NOT_FOUND: { status: 404, exit: 3 },
  SECRET_IN_USE: { status: 409, exit: 4 },

  // images and formats
  IMAGE_NOT_FOUND: { status: 404, exit: 3 },
  IMAGE_IN_USE: { status: 409, exit: 4 },
  IMAGE_INCOMPLETE: { status: 409, exit: 4 },
  IMAGE_INVALID: { status: 400, exit: 1 },
  IMAGE_UNSUPPORTED: { status: 400, exit: 1 },
  PLATFORM_NOT_FOUND: { status: 404, exit: 3 },
  DIGEST_MISMATCH: { status: 400, exit: 1 },
  SIZE_MISMATCH: { status: 400, exit: 1 },
  BLOB_NOT_FOUND: { status: 404, exit: 3 },
  TAR_INVALID: { status: 400, exit: 1 },
  COMPRESSION_INVALID: { status: 400, exit: 1 },
  LIMIT_EXCEEDED: { status: 400, exit: 1 },
  LAYER_INVALID: { status: 400, exit: 1 },
  CHUNK_INDEX_INVALID: { status: 400, exit: 1 },
  BOOT_TRACE_INVALID: { status: 400, exit: 1 },
  EROFS_INVALID: { status: 500, exit: 1 },
  EXT4_INVALID: { status: 400, exit: 1 },
  CPIO_INVALID: { status: 500, exit: 1 },

  // registries
  REGISTRY_UNREACHABLE: { status: 502, exit: 1 },
  REGISTRY_FAILED: { status: 502, exit: 1 },
  REGISTRY_UNAUTHORIZED: { status: 502, exit: 1 },
  REGISTRY_NOT_FOUND: { status: 404, exit: 3 },
  REGISTRY_THROTTLED: { status: 503, exit: 1 },

  // lazy lowers
  NBD_PROTOCOL: { status: 400, exit: 1 },

  // backups
  BACKUP_NOT_FOUND: { status: 404, exit: 3 },
  BACKUP_DAMAGED: { status: 502, exit: 1 },
  BACKUP_KEY_NOT_FOUND: { status: 409, exit: 3 },
  BACKUP_KEY_INVALID: { status: 400, exit: 2 },
  BACKUP_REPOSITORY_NOT_FOUND: { status: 404, exit: 3 },
  BACKUP_REPOSITORY_INVALID: { status: 502, exit: 1 },
  BACKUP_REPOSITORY_BUSY: { status: 409, exit: 4 },
  BACKUP_TARGET_UNREACHABLE: { status: 502, exit: 1 },
  BACKUP_TARGET_FAILED: { status: 502, exit: 1 },

  // machines
  KERNEL_NOT_FOUND: { status: 409, exit: 3 },
  KERNEL_INVALID: { status: 400, exit: 1 },
  ACCELERATION_UNAVAILABLE: { status: 503, exit: 1 },
  MACHINE_FAILED: { status: 500, exit: 1 },
  STATE_MISMATCH: { status: 409, exit: 4 },
  BOOT_FAILED: { status: 500, exit: 1 },
  AGENT_PROTOCOL: { status: 502, exit: 1 },
  AGENT_UNREACHABLE: { status: 503, exit: 1 },
  GUEST_FAILED: { status: 500, exit: 1 },
  GUEST_FILE_NOT_FOUND: { status: 404, exit: 3 },
  QMP_FAILED: { status: 500, exit: 1 },

  // this host
  FILE_NOT_FOUND: { status: 404, exit: 3 },
  FILE_EXISTS: { status: 409, exit: 4 },
  NO_SPACE: { status: 507, exit: 5 },
  IO_FAILED: { status: 500, exit: 1 },
  PERMISSION_DENIED: { status: 500, exit: 1 },
  TOOL_NOT_FOUND: { status: 501, exit: 1 },
  TOOL_FAILED: { status: 500, exit: 1 },
  PATH_TOO_LONG: { status: 400, exit: 2 },
  HOST_UNSUPPORTED: { status: 501, exit: 1 },

  // records and the daemon
  RECORD_INVALID: { status: 500, exit: 1 },
  DATA_DIRECTORY_IN_USE: { status: 409, exit: 4 },
  DATA_DIRECTORY_NOT_EMPTY: { status: 409, exit: 4 },
  DATA_DIRECTORY_INVALID: { status: 500, exit: 1 },
  SERVER_UNREACHABLE: { status: 503, exit: 7 },
  SERVER_FAILED: { status: 500, exit: 1 },
  CANCELLED: { status: 499, exit: 1 },
  INTERNAL: { status: 500, exit: 1 },
} as const satisfies Record<string, { status: number; exit: number }>

export type ProblemCode = keyof typeof problemCodes
