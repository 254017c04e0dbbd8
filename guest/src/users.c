#include "users.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool parse_id(const char *text, unsigned *id)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || value >= UINT_MAX)
		return false;
	*id = (unsigned)value;
	return true;
}

static void copy_text(char *place, size_t size, const char *text)
{
	if (text && strlen(text) < size)
		strcpy(place, text);
}

static void take_entry(struct user *user, const struct passwd *entry)
{
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	copy_text(user->name, sizeof user->name, entry->pw_name);
	copy_text(user->home, sizeof user->home, entry->pw_dir);
	copy_text(user->shell, sizeof user->shell, entry->pw_shell);
}

/* The files themselves, not getpwnam(): that would ask a name service of the guest. */
static bool find_entry(const char *name, bool is_number, unsigned number, struct user *user)
{
	bool found = false;
	FILE *file = fopen("/etc/passwd", "re");

	if (!file)
		return false;
	for (struct passwd *entry; !found && (entry = fgetpwent(file));) {
		found = is_number ? entry->pw_uid == number : strcmp(entry->pw_name, name) == 0;
		if (found)
			take_entry(user, entry);
	}
	fclose(file);
	return found;
}

static bool is_member(const struct group *group, const char *name)
{
	for (char **member = group->gr_mem; *member; member++)
		if (strcmp(*member, name) == 0)
			return true;
	return false;
}

static void find_groups(struct user *user)
{
	FILE *file = fopen("/etc/group", "re");

	user->groups[user->group_count++] = user->gid;
	if (!file)
		return;
	for (struct group *group; user->group_count < USER_GROUPS_MAX && (group = fgetgrent(file));)
		if (group->gr_gid != user->gid && user->name[0] && is_member(group, user->name))
			user->groups[user->group_count++] = group->gr_gid;
	fclose(file);
}

static bool find_group(const char *text, gid_t *gid)
{
	bool found = parse_id(text, gid);
	FILE *file = found ? NULL : fopen("/etc/group", "re");

	if (!file)
		return found;
	for (struct group *group; !found && (group = fgetgrent(file));) {
		found = strcmp(group->gr_name, text) == 0;
		if (found)
			*gid = group->gr_gid;
	}
	fclose(file);
	return found;
}

static bool find_user(const char *name, struct user *user)
{
	unsigned uid = getuid();
	bool is_number = name[0] == '\0' || parse_id(name, &uid);

	if (find_entry(name, is_number, uid, user))
		return true;
	user->uid = uid;
	return is_number;
}

bool user_find(const char *text, struct user *user)
{
	char name[512] = "";
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);

	memset(user, 0, sizeof *user);
	strcpy(user->home, "/");
	strcpy(user->shell, "/bin/sh");
	if (length >= sizeof name)
		return false;
	memcpy(name, text, length);
	if (!find_user(name, user))
		return false;
	if (!colon) {
		find_groups(user);
		return true;
	}
	user->groups[user->group_count++] = 0;
	return find_group(colon + 1, &user->gid) && (user->groups[0] = user->gid, true);
}

bool user_become(const struct user *user)
{
	/* A test may run the agent as somebody who can become nobody else. */
	if (getuid() != 0 && user->uid == getuid())
		return true;
	return setgroups(user->group_count, user->groups) == 0 && setgid(user->gid) == 0 && setuid(user->uid) == 0;
}
