/** Who may use a registry that asks. */
export const registryUser = { username: 'tester', password: 'correct horse' } as const

/** bcrypt of the password, by `htpasswd -Bbn -C 5`. */
export const htpasswdLine = `${registryUser.username}:$2y$05$NvBYBbrMrxBuSLzuusI.FOR11Wcbt8EFujL6tr16OEE4kIkbD8F9O\n`
