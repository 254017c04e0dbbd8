#include "requests.h"

#include <stddef.h>

#include "files.h"
#include "machine-jobs.h"
#include "protocol.h"
#include "renew.h"
#include "volumes.h"

static const struct request requests[] = {
	[FRAME_STAT] = { .run = files_stat, .is_harmless = true },
	[FRAME_LIST] = { .run = files_list, .streams = JOB_OUTPUT, .is_harmless = true },
	[FRAME_READ] = { .run = files_read, .streams = JOB_OUTPUT, .is_harmless = true },
	[FRAME_WRITE] = { .run = files_write, .streams = JOB_INPUT, .writes = true },
	[FRAME_MKDIR] = { .run = files_make_directory, .writes = true },
	[FRAME_REMOVE] = { .run = files_remove, .writes = true },
	[FRAME_SYMLINK] = { .run = files_symlink, .writes = true },
	[FRAME_READLINK] = { .run = files_readlink, .is_harmless = true },
	[FRAME_SYNC] = { .run = machine_sync, .is_machine = true },
	[FRAME_FREEZE] = { .run = machine_freeze, .is_machine = true, .writes = true },
	[FRAME_THAW] = { .run = machine_thaw, .is_machine = true },
	[FRAME_TRIM] = { .run = machine_trim, .is_machine = true, .writes = true },
	[FRAME_CLOCK] = { .at_once = machine_set_clock, .is_machine = true },
	[FRAME_IDENTITY] = { .run = machine_identity_job,
			     .at_once = machine_set_identity,
			     .takes_long = renew_takes_long,
			     .is_machine = true,
			     .writes = true },
	[FRAME_MOUNT] = { .run = volume_mount, .is_machine = true, .writes = true },
	[FRAME_GROW] = { .run = volume_grow, .is_machine = true, .writes = true },
};

const struct request *request_find(uint8_t type)
{
	if (type >= sizeof requests / sizeof *requests || (!requests[type].run && !requests[type].at_once))
		return NULL;
	return &requests[type];
}
