#include "machine-jobs.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "identity.h"
#include "kernel.h"
#include "machine.h"
#include "renew.h"
#include "volumes.h"

_Noreturn void machine_sync(struct job *job)
{
	sync();
	job_succeed(job, NULL, 0);
}

_Noreturn void machine_freeze(struct job *job)
{
	/* The agent heeds it: machine_freezing(). */
	read_u32(&job->request);
	if (!read_to_end(&job->request))
		job_fail(job, EPROTO, "freeze");
	if (!volumes_freeze())
		job_fail(job, errno, "freeze a volume");
	if (ioctl(machine_upper(), IOCTL_FREEZE, 0) != 0) {
		int error = errno;
		volumes_thaw();
		job_fail(job, error, "freeze the upper");
	}
	job_succeed(job, NULL, 0);
}

_Noreturn void machine_thaw(struct job *job)
{
	bool is_thawed = ioctl(machine_upper(), IOCTL_THAW, 0) == 0;
	int error = errno;

	volumes_thaw();
	if (!is_thawed)
		job_fail(job, error, "thaw the upper");
	job_succeed(job, NULL, 0);
}

_Noreturn void machine_trim(struct job *job)
{
	struct trim_range range = { .start = 0, .length = UINT64_MAX, .minimum = 0 };
	const char *serial = job->request.left > 0 ? read_string(&job->request) : "";
	uint8_t reply[8];
	struct writer writer = { .bytes = reply, .size = sizeof reply };

	if (!read_to_end(&job->request))
		job_fail(job, EPROTO, "trim a filesystem");
	if (serial[0] ? !volume_trim(serial, &range.length) : ioctl(machine_upper(), IOCTL_TRIM, &range) != 0)
		job_fail(job, errno, serial[0] ? "trim the volume" : "trim the upper");
	write_u64(&writer, range.length);
	job_succeed(job, reply, writer.length);
}

static const char *malformed(const char *what)
{
	errno = EPROTO;
	return what;
}

const char *machine_set_clock(struct reader *request)
{
	const char *what = "set the clock";
	uint64_t nanoseconds = read_u64(request);
	struct timespec time = { .tv_sec = (time_t)(nanoseconds / 1000000000),
				 .tv_nsec = (long)(nanoseconds % 1000000000) };

	if (!read_to_end(request))
		return malformed(what);
	return clock_settime(CLOCK_REALTIME, &time) == 0 ? NULL : what;
}

/* Entropy first: whatever is made anew because of the new names is then made from it. */
const char *machine_set_identity(struct reader *request)
{
	size_t length;
	const char *hostname = read_string(request), *machine_id = read_string(request);
	const uint8_t *entropy = read_bytes(request, &length);

	if (!read_to_end(request))
		return malformed("set the identity");
	if (length > 0 && !identity_add_entropy(entropy, length))
		return "add entropy";
	if (hostname[0] && !identity_set_hostname(hostname))
		return "set the host name";
	/* A machine that goes on from the memory of another has that one's secrets on its disk. As at a boot: before the file that tells it is written. */
	bool is_copy = machine_id[0] && was_of_another(machine_id);
	if (is_copy && !renew_secrets())
		return "make ssh's host keys anew";
	if (machine_id[0] && !identity_set_machine_id(machine_id))
		return "write /etc/machine-id";
	if (is_copy)
		renew_sshd();
	return NULL;
}

_Noreturn void machine_identity_job(struct job *job)
{
	const char *failed = machine_set_identity(&job->request);

	if (failed)
		job_fail(job, errno, failed);
	job_succeed(job, NULL, 0);
}
