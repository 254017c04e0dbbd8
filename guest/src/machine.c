#include "machine.h"

#include <limits.h>
#include <unistd.h>

#include "kernel.h"
#include "ticks.h"
#include "volumes.h"

static struct {
	bool owned;
	int upper;
	bool frozen;
	int64_t thaw_at;
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

void machine_freezing(pid_t worker, uint32_t longest_ms)
{
	machine.frozen = true;
	machine.thaw_at = ticks_ms() + longest_ms;
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
		machine_thaw_now();
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

int machine_timeout(void)
{
	if (!machine.frozen || machine.thaw_when_frozen)
		return -1;
	int64_t left = machine.thaw_at - ticks_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

void machine_continue(void)
{
	if (machine_timeout() == 0)
		machine_host_gone();
}

void machine_thaw_now(void)
{
	ioctl(machine.upper, IOCTL_THAW, 0);
	volumes_thaw();
}
