#include "link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "protocol.h"
#include "small-files.h"
#include "ticks.h"

#define PORT_NAME "cowshed.agent"
#define PORTS "/sys/class/virtio-ports"
#define PATIENCE_MS 10000
#define INTERVAL_MS 2

#define READ_BYTES 32768
#define QUEUE_BYTES (4 * MAX_PAYLOAD)
/* While no host is connected a port is always readable, with nothing to read: SIGIO tells of a new one, and this is in case it does not. */
#define ABSENCE_INTERVAL_MS 1000

enum state { UNSYNCED, NONCE, FRAMES, FAULTED };

static struct {
	int fd;
	int listener;
	bool absent;
	struct link_events events;
	uint8_t key[KEY_BYTES];

	enum state state;
	uint8_t nonce[NONCE_BYTES];
	size_t nonce_length;
	/* Nothing of the answer to the last SYNC has been sent yet. */
	bool unanswered;
	uint8_t header[HEADER_BYTES];
	size_t header_length;
	uint8_t payload[MAX_PAYLOAD];
	size_t payload_length;

	/* What was read last, behind the end of what was read before it, in which a key may have begun. */
	uint8_t raw[KEY_BYTES - 1 + READ_BYTES];
	size_t carried;

	uint8_t queue[QUEUE_BYTES];
	size_t queue_start;
	size_t queue_end;
} self;

static void drop_host(void)
{
	bool was_synced = self.state != UNSYNCED;

	self.state = UNSYNCED;
	self.carried = 0;
	self.queue_start = self.queue_end = 0;
	if (was_synced)
		self.events.host_gone();
}

/*
 * The bytes of a new host and the news that it has come reach the guest on different virtqueues (virtio 1.2, 5.3.6): its SYNC can be here while
 * the kernel still takes the port for closed. A host that has not been answered yet has therefore not left, whatever the kernel says.
 */
static bool is_unanswered(void)
{
	return self.state == NONCE || (self.state == FRAMES && self.unanswered);
}

static void host_left(void)
{
	if (self.listener < 0) {
		if (!is_unanswered())
			drop_host();
		self.absent = true;
		return;
	}
	drop_host();
	close(self.fd);
	self.fd = -1;
}

/* Sending */

size_t link_room(void)
{
	if (self.state != FRAMES)
		return 0;
	size_t used = self.queue_end - self.queue_start + HEADER_BYTES;
	size_t room = used < QUEUE_BYTES ? QUEUE_BYTES - used : 0;
	return room < MAX_PAYLOAD ? room : MAX_PAYLOAD;
}

uint8_t *link_begin(void)
{
	if (self.queue_start > 0 && QUEUE_BYTES - self.queue_end < HEADER_BYTES + MAX_PAYLOAD) {
		memmove(self.queue, self.queue + self.queue_start, self.queue_end - self.queue_start);
		self.queue_end -= self.queue_start;
		self.queue_start = 0;
	}
	return self.queue + self.queue_end + HEADER_BYTES;
}

void link_end(uint8_t type, uint32_t channel, size_t length)
{
	struct writer header = { .bytes = self.queue + self.queue_end, .size = HEADER_BYTES };

	if (length == 0 && type == FRAME_OUTPUT)
		return;
	write_u32(&header, (uint32_t)length);
	write_u32(&header, channel);
	write_u32(&header, type);
	self.queue_end += HEADER_BYTES + length;
}

void link_send(uint8_t type, uint32_t channel, const void *payload, size_t length)
{
	if (length > link_room())
		return;
	uint8_t *place = link_begin();
	if (length > 0)
		memcpy(place, payload, length);
	link_end(type, channel, length);
}

void link_flush(void)
{
	while (self.fd >= 0 && self.queue_start < self.queue_end) {
		ssize_t count = write(self.fd, self.queue + self.queue_start, self.queue_end - self.queue_start);
		if (count < 0 && errno == EINTR)
			continue;
		/* A host that is gone shows when it is read from. */
		if (count <= 0)
			return;
		self.queue_start += (size_t)count;
		self.unanswered = false;
	}
	self.queue_start = self.queue_end = 0;
}

void link_fault(const char *reason)
{
	if (self.state != FRAMES)
		return;
	link_send(FRAME_FAULT, 0, reason, strlen(reason));
	self.state = FAULTED;
	self.events.host_gone();
}

/* Receiving */

static void finish_sync(void)
{
	self.queue_start = self.queue_end = 0;
	memcpy(self.queue, self.nonce, NONCE_BYTES);
	self.queue_end = NONCE_BYTES;
	self.state = FRAMES;
	self.unanswered = true;
	self.header_length = self.payload_length = 0;
	self.events.host_came();
}

static size_t take(uint8_t *place, size_t *have, size_t want, const uint8_t *bytes, size_t length)
{
	size_t count = want - *have < length ? want - *have : length;

	memcpy(place + *have, bytes, count);
	*have += count;
	return count;
}

static uint32_t header_number(size_t offset)
{
	struct reader reader = { .next = self.header + offset, .left = 4 };
	return read_u32(&reader);
}

static size_t take_frame(const uint8_t *bytes, size_t length)
{
	size_t used = take(self.header, &self.header_length, HEADER_BYTES, bytes, length);

	if (self.header_length < HEADER_BYTES)
		return used;
	uint32_t size = header_number(0), channel = header_number(4), type = header_number(8);
	if (size > MAX_PAYLOAD || type > UINT8_MAX) {
		link_fault("a frame header is not valid");
		return length;
	}
	used += take(self.payload, &self.payload_length, size, bytes + used, length - used);
	if (self.payload_length < size)
		return used;
	self.header_length = self.payload_length = 0;
	self.events.frame((uint8_t)type, channel, self.payload, size);
	return used;
}

static void parse(const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t used = length;
		if (self.state == NONCE) {
			used = take(self.nonce, &self.nonce_length, NONCE_BYTES, bytes, length);
			if (self.nonce_length == NONCE_BYTES)
				finish_sync();
		} else if (self.state == FRAMES) {
			used = take_frame(bytes, length);
		}
		bytes += used;
		length -= used;
	}
}

static void expect_nonce(void)
{
	drop_host();
	self.state = NONCE;
	self.nonce_length = 0;
}

/* A key anywhere begins a new connection, be it in the middle of a frame or of a nonce that will never be whole. */
static void scan(size_t fresh)
{
	uint8_t *start = self.raw;
	size_t length = self.carried + fresh, seen = self.carried;
	uint8_t *key;

	while ((key = memmem(start, length, self.key, KEY_BYTES))) {
		expect_nonce();
		length -= (size_t)(key + KEY_BYTES - start);
		start = key + KEY_BYTES;
		seen = 0;
	}
	parse(start + seen, length - seen);
	self.carried = length < KEY_BYTES - 1 ? length : KEY_BYTES - 1;
	memmove(self.raw, start + length - self.carried, self.carried);
}

/* One chunk at a time, so that a host that never stops talking does not keep the agent from its other work. */
static void receive(void)
{
	ssize_t count = read(self.fd, self.raw + self.carried, READ_BYTES);

	if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
		host_left();
		return;
	}
	self.absent = false;
	if (count > 0)
		scan((size_t)count);
}

static void accept_host(void)
{
	self.fd = accept4(self.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

struct pollfd link_poll(int *timeout)
{
	*timeout = -1;
	if (self.fd < 0)
		return (struct pollfd){ .fd = self.listener, .events = POLLIN };
	if (self.absent) {
		*timeout = ABSENCE_INTERVAL_MS;
		return (struct pollfd){ .fd = -1 };
	}
	short want_out = self.queue_start < self.queue_end ? POLLOUT : 0;
	return (struct pollfd){ .fd = self.fd, .events = POLLIN | want_out };
}

void link_receive(void)
{
	if (self.fd < 0)
		accept_host();
	if (self.fd >= 0)
		receive();
}

/* Opening */

static void begin(const uint8_t key[KEY_BYTES], const struct link_events *events)
{
	self.fd = self.listener = -1;
	memcpy(self.key, key, KEY_BYTES);
	self.events = *events;
}

static bool is_ours(const char *port)
{
	char path[320], name[64];

	snprintf(path, sizeof path, PORTS "/%s/name", port);
	return read_line_of_file(path, name, sizeof name) > 0 && strcmp(name, PORT_NAME) == 0;
}

static int open_port(void)
{
	int fd = -1;
	DIR *ports = opendir(PORTS);
	if (!ports)
		return -1;
	for (struct dirent *entry; fd < 0 && (entry = readdir(ports));) {
		char path[320];
		if (entry->d_name[0] == '.' || !is_ours(entry->d_name))
			continue;
		snprintf(path, sizeof path, "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	closedir(ports);
	return fd;
}

bool link_open_port(const uint8_t key[KEY_BYTES], const struct link_events *events)
{
	begin(key, events);
	for (int64_t deadline = ticks_ms() + PATIENCE_MS; ticks_ms() < deadline; sleep_ms(INTERVAL_MS)) {
		self.fd = open_port();
		if (self.fd < 0)
			continue;
		/* SIGIO when a host connects or leaves (drivers/char/virtio_console.c: send_sigio_to_port). */
		fcntl(self.fd, F_SETOWN, getpid());
		fcntl(self.fd, F_SETFL, O_NONBLOCK | O_ASYNC);
		return true;
	}
	return false;
}

bool link_listen(const char *path, const uint8_t key[KEY_BYTES], const struct link_events *events)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	begin(key, events);
	if (strlen(path) >= sizeof address.sun_path)
		return false;
	strcpy(address.sun_path, path);
	self.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return self.listener >= 0 && bind(self.listener, (struct sockaddr *)&address, sizeof address) == 0 &&
	       listen(self.listener, 4) == 0;
}
