#include "machine.h"

#include <unistd.h>

#include "kernel.h"

static struct {
	bool owned;
	int upper;
	bool frozen;
	pid_t freezer;
	bool thaw_when_frozen;
} machine = { .upper = -1 };

void machine_own(int upper)
{
	machine.owned = true;
	machine.upper = upper;
}

bool machine_owned(void)
{
	return machine.owned;
}

int machine_upper(void)
{
	return machine.upper;
}

bool machine_frozen(void)
{
	return machine.frozen;
}

void machine_freezing(pid_t worker)
{
	machine.frozen = true;
	machine.freezer = worker;
	machine.thaw_when_frozen = false;
}

void machine_thawing(void)
{
	machine.frozen = false;
}

/* In a process of its own, since the kernel may let it wait for whoever is syncing right now. */
static void thaw_in_background(void)
{
	machine.frozen = false;
	if (fork() == 0) {
		ioctl(machine.upper, IOCTL_THAW, 0);
		_exit(0);
	}
}

void machine_child_ended(pid_t child, bool succeeded)
{
	if (child != machine.freezer)
		return;
	machine.freezer = 0;
	if (!succeeded)
		machine.frozen = false;
	else if (machine.thaw_when_frozen)
		thaw_in_background();
}

void machine_host_gone(void)
{
	if (machine.freezer != 0)
		machine.thaw_when_frozen = true;
	else if (machine.frozen)
		thaw_in_background();
}

void machine_thaw_now(void)
{
	ioctl(machine.upper, IOCTL_THAW, 0);
}
