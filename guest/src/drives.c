#include "drives.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "small-files.h"
#include "ticks.h"

#define PATIENCE_MS 5000
#define INTERVAL_MS 2

static bool has_serial(const char *device, const char *serial)
{
	char path[512], found[64];

	snprintf(path, sizeof path, "/sys/block/%s/serial", device);
	return read_line_of_file(path, found, sizeof found) > 0 && strcmp(found, serial) == 0;
}

static bool look(const char *serial, char path[DRIVE_PATH_SIZE])
{
	bool found = false;
	DIR *devices = opendir("/sys/block");
	if (!devices)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(devices));) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) > 32 || !has_serial(entry->d_name, serial))
			continue;
		snprintf(path, DRIVE_PATH_SIZE, "/dev/%.32s", entry->d_name);
		found = access(path, F_OK) == 0;
	}
	closedir(devices);
	return found;
}

bool drive_find(const char *serial, char path[DRIVE_PATH_SIZE])
{
	for (int64_t deadline = ticks_ms() + PATIENCE_MS; ticks_ms() < deadline; sleep_ms(INTERVAL_MS))
		if (look(serial, path))
			return true;
	return false;
}
