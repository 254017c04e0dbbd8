#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error-text.h"
#include "protocol.h"
#include "users.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct program {
	uint8_t flags;
	uint16_t rows, cols;
	const char *user;
	const char *cwd;
	char **argv;
	char **env;
	size_t env_count;
	bool is_login;
};

/* Variables that the agent itself may add: PATH, HOME, TERM, SHELL, USER, LOGNAME. */
#define ADDED_VARIABLES 6

static char **read_strings(struct reader *reader, size_t count, size_t spare)
{
	/* Each takes at least its four bytes of length, so a count that is too large cannot make this large. */
	if (count > reader->left / 4) {
		reader->bad = true;
		count = 0;
	}
	char **strings = calloc(count + spare + 1, sizeof *strings);
	if (!strings)
		_exit(126);
	for (size_t i = 0; i < count; i++)
		strings[i] = read_string(reader);
	return strings;
}

static void read_program(struct job *job, struct program *program)
{
	struct reader *request = &job->request;

	program->flags = read_u8(request);
	program->rows = read_u16(request);
	program->cols = read_u16(request);
	program->user = read_string(request);
	program->cwd = read_string(request);
	uint32_t argv_count = read_u32(request);
	program->env_count = read_u32(request);
	program->argv = read_strings(request, argv_count, 1);
	program->env = read_strings(request, program->env_count, ADDED_VARIABLES);
	program->is_login = argv_count == 0;
	if (!read_to_end(request))
		job_fail(job, EPROTO, "run a program");
}

bool exec_streams(struct reader request, int *streams)
{
	uint8_t flags = read_u8(&request);

	*streams = flags & EXEC_TTY ? JOB_TTY : JOB_OUTPUT | JOB_STDERR | (flags & EXEC_STDIN ? JOB_INPUT : 0);
	return !request.bad;
}

static const char *variable(const struct program *program, const char *name)
{
	size_t length = strlen(name);

	for (char **each = program->env; *each; each++)
		if (strncmp(*each, name, length) == 0 && (*each)[length] == '=')
			return *each + length + 1;
	return NULL;
}

static void add_variable(struct program *program, const char *name, const char *value)
{
	char *text;

	if (variable(program, name) || asprintf(&text, "%s=%s", name, value) < 0)
		return;
	program->env[program->env_count++] = text;
}

static void complete_environment(struct program *program, const struct user *user)
{
	add_variable(program, "PATH", DEFAULT_PATH);
	add_variable(program, "HOME", user->home);
	if (program->flags & EXEC_TTY)
		add_variable(program, "TERM", "xterm");
	if (!program->is_login)
		return;
	add_variable(program, "SHELL", user->shell);
	if (user->name[0]) {
		add_variable(program, "USER", user->name);
		add_variable(program, "LOGNAME", user->name);
	}
}

/* A login shell is told that it is one by the dash before its name. */
static const char *choose_program(struct program *program, const struct user *user)
{
	char *name;

	if (!program->is_login)
		return program->argv[0];
	const char *slash = strrchr(user->shell, '/');
	if (asprintf(&name, "-%s", slash ? slash + 1 : user->shell) < 0)
		_exit(126);
	program->argv[0] = name;
	return user->shell;
}

static void enter_directory(struct job *job, const struct program *program, const struct user *user)
{
	if (program->cwd[0]) {
		if (chdir(program->cwd) != 0)
			job_fail(job, errno, program->cwd);
		return;
	}
	if (!program->is_login || chdir(user->home) != 0)
		if (chdir("/") != 0)
			job_fail(job, errno, "/");
}

static void take_terminal(struct job *job, const struct program *program, const struct user *user)
{
	const struct winsize size = { .ws_row = program->rows, .ws_col = program->cols };
	int terminal = job->output;

	/* The terminal belongs to who works on it; only an agent that is not root cannot give it away, and need not. */
	if (fchown(terminal, user->uid, (gid_t)-1) != 0 && getuid() == 0)
		job_fail(job, errno, "give the terminal to the user");
	if (ioctl(terminal, TIOCSWINSZ, &size) != 0 || ioctl(terminal, TIOCSCTTY, 0) != 0)
		job_fail(job, errno, "take the terminal");
	for (int standard = 0; standard <= 2; standard++)
		dup2(terminal, standard);
}

static void take_pipes(struct job *job)
{
	int input = job->input >= 0 ? job->input : open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (input < 0)
		job_fail(job, errno, "/dev/null");
	dup2(input, 0);
	dup2(job->output, 1);
	dup2(job->error, 2);
}

/* execve() along PATH. Returns only when there is nothing to run: the errno that a shell would complain about. */
static int run_along_path(const char *name, const struct program *program)
{
	char candidate[PATH_MAX];
	int error = ENOENT;

	for (const char *directory = variable(program, "PATH"), *end; directory; directory = *end ? end + 1 : NULL) {
		end = strchrnul(directory, ':');
		int length = (int)(end - directory);
		if (snprintf(candidate, sizeof candidate, "%.*s%s%s", length, directory, length ? "/" : "", name) >=
		    (int)sizeof candidate)
			continue;
		execve(candidate, program->argv, program->env);
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
		if (error != ENOENT && error != EACCES)
			return error;
	}
	return error;
}

static _Noreturn void run_program(const char *name, const struct program *program)
{
	int error = ENOENT;

	if (strchr(name, '/')) {
		execve(name, program->argv, program->env);
		error = errno;
	} else if (name[0]) {
		error = run_along_path(name, program);
	}
	dprintf(2, "cowshed: cannot run %s: %s\n", name[0] ? name : "''", error_text(error));
	_exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

static _Noreturn void refuse_user(struct job *job, const char *user)
{
	char text[512];

	snprintf(text, sizeof text, "no such user or group in /etc/passwd and /etc/group: %.256s", user);
	job_refuse(job, ESRCH, text);
}

_Noreturn void exec_run(struct job *job)
{
	static struct program program;
	static struct user user;

	read_program(job, &program);
	if (!user_find(program.user, &user))
		refuse_user(job, program.user);
	setsid();
	umask(022);
	if (program.flags & EXEC_TTY)
		take_terminal(job, &program, &user);
	else
		take_pipes(job);
	if (!user_become(&user))
		job_fail(job, errno, program.user);
	enter_directory(job, &program, &user);
	complete_environment(&program, &user);
	run_program(choose_program(&program, &user), &program);
}
