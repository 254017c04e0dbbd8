#include "network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ticks.h"

#define GUEST_ADDRESS "10.0.2.15"
#define GUEST_NETMASK "255.255.255.0"
#define ROUTER_ADDRESS "10.0.2.2"

#define PATIENCE_MS 2000
#define INTERVAL_MS 2

static void set_address(struct sockaddr *place, const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &address.sin_addr);
	memcpy(place, &address, sizeof address);
}

static struct ifreq request_for(const char *name)
{
	struct ifreq request;

	memset(&request, 0, sizeof request);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	return request;
}

static bool bring_up(int socket, const char *name)
{
	struct ifreq request = request_for(name);

	if (ioctl(socket, SIOCGIFFLAGS, &request) != 0)
		return false;
	request.ifr_flags |= IFF_UP;
	return ioctl(socket, SIOCSIFFLAGS, &request) == 0;
}

static bool give_address(int socket, const char *name)
{
	struct ifreq address = request_for(name), netmask = request_for(name);

	set_address(&address.ifr_addr, GUEST_ADDRESS);
	set_address(&netmask.ifr_netmask, GUEST_NETMASK);
	return ioctl(socket, SIOCSIFADDR, &address) == 0 && ioctl(socket, SIOCSIFNETMASK, &netmask) == 0;
}

static bool add_default_route(int socket)
{
	struct rtentry route;

	memset(&route, 0, sizeof route);
	set_address(&route.rt_dst, "0.0.0.0");
	set_address(&route.rt_genmask, "0.0.0.0");
	set_address(&route.rt_gateway, ROUTER_ADDRESS);
	route.rt_flags = RTF_UP | RTF_GATEWAY;
	return ioctl(socket, SIOCADDRT, &route) == 0;
}

void network_loopback_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	bring_up(fd, "lo");
	close(fd);
}

static bool is_virtio(const char *name)
{
	char path[320], driver[256];

	snprintf(path, sizeof path, "/sys/class/net/%s/device/driver", name);
	ssize_t length = readlink(path, driver, sizeof driver - 1);
	if (length < 0)
		return false;
	driver[length] = '\0';
	const char *base = strrchr(driver, '/');
	return base && strcmp(base, "/virtio_net") == 0;
}

static bool find_virtio(char name[IF_NAMESIZE])
{
	bool found = false;
	DIR *interfaces = opendir("/sys/class/net");
	if (!interfaces)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(interfaces));) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= IF_NAMESIZE || !is_virtio(entry->d_name))
			continue;
		strcpy(name, entry->d_name);
		found = true;
	}
	closedir(interfaces);
	return found;
}

static bool wait_for_virtio(char name[IF_NAMESIZE])
{
	for (int64_t deadline = ticks_ms() + PATIENCE_MS; ticks_ms() < deadline; sleep_ms(INTERVAL_MS))
		if (find_virtio(name))
			return true;
	errno = ENODEV;
	return false;
}

bool network_user_up(void)
{
	char name[IF_NAMESIZE];

	if (!wait_for_virtio(name))
		return false;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool up = give_address(fd, name) && bring_up(fd, name) && add_default_route(fd);
	int error = errno;
	close(fd);
	errno = error;
	return up;
}
