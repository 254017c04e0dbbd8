/* Who a program runs as, by the guest's own /etc/passwd and /etc/group. */
#ifndef COWSHED_USERS_H
#define COWSHED_USERS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define USER_GROUPS_MAX 256

struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS_MAX];
	size_t group_count;
	char name[256];
	char home[PATH_MAX];
	char shell[PATH_MAX];
};

/*
 * Looks up "name", "uid", "name:group" or "uid:gid" as container runtimes do: a number need not be in the files (group 0 and
 * home / then), and a group that is named replaces the supplementary groups. "" is whoever the agent runs as.
 * False: there is no such user or group.
 */
bool user_find(const char *text, struct user *user);

/* Becomes that user for good. False with errno. */
bool user_become(const struct user *user);

#endif
